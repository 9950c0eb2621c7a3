using System.Diagnostics;
using RecoveryVfs.Handles;
using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Settings;
using RecoveryVfs.Statements;

namespace RecoveryVfs.Rollbacks;

/// <summary>
/// Takes databases of a store back to an earlier state, each by a commit of its own: what they were until then stays in
/// the log, so it can be undone. The state comes from the store's remote. Who has the store open does the commit: this
/// process, another one through the socket for statements, or this one when nobody has.
/// </summary>
internal sealed class Rollback(StoreDirectory store, StepBegun begin, Action<string> note)
{
    const int Parallelism = 8;

    static readonly TimeSpan ListenPatience = TimeSpan.FromSeconds(2), LookInterval = TimeSpan.FromMilliseconds(50),
        WritePatience = TimeSpan.FromMinutes(10);

    const int BusyPatienceMs = 5000;

    /// <summary>
    /// Has the remote everything that the store has, so that it can be looked at, and undone to, from there.
    /// </summary>
    public static async Task ShipAsync(StoreDirectory store, CancellationToken cancellation)
    {
        if (store.IsReplica)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The store {store.Path} follows another one, and has no writer to take it back.",
                "Roll back the store that it follows.")
            { Path = store.Path };
        await StoreSync.RunAsync(store, new SyncOptions(), cancellation);
    }

    /// <summary>The same, to a moment as people write it.</summary>
    public Task<RollbackResult> RunAsync(string to, string? database, CancellationToken cancellation) =>
        RunAsync(RestoreTarget.Parse(to), database, cancellation);

    /// <summary>Takes one database back, or every one that there is now and was there then.</summary>
    public async Task<RollbackResult> RunAsync(RestoreTarget to, string? database, CancellationToken cancellation)
    {
        await ShipAsync(store, cancellation);
        await using var remote = RemoteAccess.Open(store.Path);
        var plan = await RestorePlanner.PlanAsync(remote.Context, to, null, cancellation);
        await using var pin = await remote.PinAsync(plan, note, cancellation);
        var then = new LogReading();
        then.Start(plan.Hints.Hints);
        var (lsn, _) = await plan.ReplayAsync(then.Take, null, cancellation);
        var names = await ChooseAsync(remote, database, then, lsn, cancellation);
        var bookmark = Bookmark.Of(plan.Store.LogId, await EpochAsync(remote, plan, lsn, cancellation), lsn);
        using var staging = new Staging(store.Path, StoreHome.RollbackStaging);
        var restoring = new Restoring(plan, Parallelism, begin, note);
        for (var i = 0; i < names.Count; i++)
            await restoring.ToFileAsync(Path.Combine(store.Path, StoreHome.RollbackFile(i)), names[i], force: false,
                check: null, cancellation);
        var list = new RollbackList(store.Path);
        var entries = new List<RollbackEntry>();
        for (var i = 0; i < names.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            entries.Add(TakeBack(list, names[i], StoreHome.RollbackFile(i), bookmark, plan.Store.LogId));
        }
        var undo = entries.Find(e => e.Lsn is not null)?.Undo;
        return new RollbackResult(store.Path, bookmark.ToString(), undo, entries);
    }

    RollbackEntry TakeBack(RollbackList list, string name, string file, Bookmark to, Guid logId)
    {
        var at = DateTimeOffset.UtcNow;
        list.Begin(name, at, to);
        using (begin($"taking {name} back", 0))
        {
            var (done, epoch) = Apply(name, file);
            var entry = new RollbackEntry(name, at, to.ToString(),
                Bookmark.Of(logId, epoch, done.UndoLsn).ToString(),
                done.Lsn == done.UndoLsn ? null : done.Lsn)
            {
                Pages = done.Pages < 0 ? null : done.Pages,
            };
            list.Done(entry);
            return entry;
        }
    }

    static async Task<ulong> EpochAsync(RemoteAccess remote, RestorePlan plan, ulong lsn,
        CancellationToken cancellation)
    {
        if (plan.Target.Bookmark is { } given) return given.Epoch;
        return await BookmarkCheck.EpochOfAsync(remote.Context, lsn, cancellation) ?? plan.Epoch;
    }

    async Task<IReadOnlyList<string>> ChooseAsync(RemoteAccess remote, string? wanted, LogReading then, ulong lsn,
        CancellationToken cancellation)
    {
        var were = then.Databases.Select(d => d.Name).Where(n => !PageStore.Reading.DeletedName.Is(n)).ToList();
        if (wanted is not null) return [Restoring.Choose(wanted, were, lsn)];
        var now = new LogReading();
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, null, cancellation);
        now.Start(plan.Hints.Hints);
        await plan.ReplayAsync(now.Take, null, cancellation);
        var are = now.Databases.Select(d => d.Name).Where(n => !PageStore.Reading.DeletedName.Is(n)).ToList();
        foreach (var name in are.Except(were)) note($"{name} was not there then; it is left as it is.");
        foreach (var name in were.Except(are))
            note($"{name} was deleted since; `recovery undelete`, or `recovery restore -o`, brings it back.");
        var both = were.Intersect(are).ToList();
        return both.Count > 0 ? both
            : throw new RecoveryException(RecoveryError.NotFound,
                $"No database that {store.Path} has now was there at LSN {lsn}.")
            { Lsn = lsn };
    }

    /// <summary>In the process that has the store open, or here when nobody has, or this one.</summary>
    (Replaced Done, ulong Epoch) Apply(string name, string file)
    {
        // Whoever opens a store listens a moment later: nothing tells another process when.
        for (var started = Stopwatch.GetTimestamp(); !StoreRegistry.IsOpen(store.Path); Thread.Sleep(LookInterval))
        {
            if (SqlClient.TryConnect(store.Path, name, WritePatience) is { } client)
                using (client)
                {
                    var done = client.Replace(file);
                    var answers = new SqlAnswers();
                    client.Run("PRAGMA recovery_bookmark", answers);
                    return (done, EpochOf(answers));
                }
            if (store.Holder() is not { } holder) break;
            if (Stopwatch.GetElapsedTime(started) < ListenPatience) continue;
            throw new RecoveryException(RecoveryError.Busy,
                $"The store {store.Path} is open in {holder}, which takes no statements from others (sql-socket=off, "
                    + "a SQLite without threads, or an older version).",
                "End that process first, or have it open the store with sql-socket=on.")
            { Path = store.Path };
        }
        return Here(name, file);
    }

    (Replaced Done, ulong Epoch) Here(string name, string file)
    {
        var path = Path.Combine(store.Databases, name);
        if (Stub.Read(path) is not { Content: PathContent.Stub } stub || stub.Database != name)
            throw new RecoveryException(RecoveryError.NotFound,
                $"The file of the database {name} of {store.Path} does not lie at {path}.",
                "Open it where it lies while this runs.")
            { Path = path };
        var settings = StoreSettings.TakeOwnUris();
        using (settings)
        using (var connection = HostConnection.Open(
            $"{DatabasePath.UriOf(path)}?store={Uri.EscapeDataString(store.Path)}", write: true, BusyPatienceMs))
        {
            var done = Replacement.Run(connection, path, store.Path, Path.Combine(store.Path, file), WritePatience);
            var answers = new SqlAnswers();
            connection.Run("PRAGMA recovery_bookmark", answers);
            return (done, EpochOf(answers));
        }
    }

    static ulong EpochOf(SqlAnswers answers) =>
        Bookmark.Parse(System.Text.Encoding.UTF8.GetString(answers.Rows[0][0].Bytes)).Epoch;
}
