using System.Diagnostics;
using RecoveryVfs.Handles;
using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Settings;
using RecoveryVfs.Statements;

namespace RecoveryVfs.Rollbacks;

/// <summary>
/// Takes databases of a store back to an earlier state, each by a commit of its own: what they were until then stays in
/// the log, so it can be undone. The state comes from the store itself or from its remote (<see cref="EarlierState"/>).
/// Who has the store open does the commit: this process, another one through the socket for statements, or this one
/// when nobody has.
/// </summary>
internal sealed class Rollback(StoreDirectory store, StepBegun begin, Action<string> note)
{
    static readonly TimeSpan ListenPatience = TimeSpan.FromSeconds(2), LookInterval = TimeSpan.FromMilliseconds(50),
        WritePatience = TimeSpan.FromMinutes(10);

    const int BusyPatienceMs = 5000;

    /// <summary>Takes databases back to a moment as people write it.</summary>
    public Task<RollbackResult> RunAsync(string to, string? database, CancellationToken cancellation) =>
        RunAsync(RestoreTarget.Parse(to), database, cancellation);

    /// <summary>Takes one database back, or every one that there is now and was there then.</summary>
    public async Task<RollbackResult> RunAsync(RestoreTarget to, string? database, CancellationToken cancellation)
    {
        await using var state = await EarlierState.FindAsync(store, to, begin, note, cancellation);
        var names = Choose(database, state);
        using var staging = new Staging(store.Path, StoreHome.RollbackStaging);
        await state.HoldAsync(names, cancellation);
        for (var i = 0; i < names.Count; i++)
            await state.WriteAsync(names[i], Path.Combine(store.Path, StoreHome.RollbackFile(i)), begin, cancellation);
        var list = new RollbackList(store.Path);
        var entries = new List<RollbackEntry>();
        for (var i = 0; i < names.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            entries.Add(TakeBack(list, names[i], StoreHome.RollbackFile(i), state, cancellation));
        }
        var undo = entries.Find(e => e.Lsn is not null)?.Undo;
        if (undo is not null && (store.RemoteUrl ?? RemoteAccess.Default) is null)
            note("This store has no remote: the state before can be brought back only while the store itself reaches "
                + "back to it.");
        return new RollbackResult(store.Path, state.Bookmark.ToString(), undo, entries);
    }

    RollbackEntry TakeBack(RollbackList list, string name, string file, EarlierState state,
        CancellationToken cancellation)
    {
        var at = DateTimeOffset.UtcNow;
        list.Begin(name, at, state.Bookmark);
        using (begin($"taking {name} back", 0))
        {
            Replaced done;
            Bookmark now;
            try
            {
                (done, now) = Apply(name, file);
            }
            // Somebody wrote meanwhile, or is of an older version: then the whole is compared.
            catch (SqlFailure) when (state.TryWriteWhole(name, Path.Combine(store.Path, file), begin, cancellation))
            {
                (done, now) = Apply(name, file);
            }
            var entry = new RollbackEntry(name, at, state.Bookmark.ToString(),
                (now with { Lsn = done.UndoLsn }).ToString(),
                done.Lsn == done.UndoLsn ? null : done.Lsn)
            {
                Pages = done.Pages < 0 ? null : done.Pages,
            };
            list.Done(entry);
            return entry;
        }
    }

    IReadOnlyList<string> Choose(string? wanted, EarlierState state)
    {
        var (were, lsn) = (state.Databases, state.Bookmark.Lsn);
        if (wanted is not null) return [Restoring.Choose(wanted, were, lsn)];
        var are = DatabasesNow(store);
        foreach (var name in are.Except(were)) note($"{name} was not there then; it is left as it is.");
        foreach (var name in were.Except(are))
            note($"{name} was deleted since; `recovery undelete`, or `recovery restore -o`, brings it back.");
        var both = were.Intersect(are).ToList();
        return both.Count > 0 ? both
            : throw new RecoveryException(RecoveryError.NotFound,
                $"No database that {store.Path} has now was there at LSN {lsn}.")
            { Lsn = lsn };
    }

    /// <summary>The databases that a store has now.</summary>
    public static IReadOnlyList<string> DatabasesNow(StoreDirectory store)
    {
        using var view = StoreView.Open(new StoreOptions { Directory = store.Path });
        using var reader = view.Read();
        return [.. reader.Databases.Where(n => !DeletedName.Is(n))];
    }

    /// <summary>In the process that has the store open, or here when nobody has, or this one.</summary>
    (Replaced Done, Bookmark Now) Apply(string name, string file)
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
                    return (done, BookmarkIn(answers));
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

    (Replaced Done, Bookmark Now) Here(string name, string file)
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
            return (done, BookmarkIn(answers));
        }
    }

    static Bookmark BookmarkIn(SqlAnswers answers) =>
        Bookmark.Parse(System.Text.Encoding.UTF8.GetString(answers.Rows[0][0].Bytes));
}
