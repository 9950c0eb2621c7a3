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
/// Takes databases of a store back to an earlier state, all by one commit (those in WAL mode each by one of their own,
/// see <see cref="Replacement"/>): what they were until then stays in the log, so it can be undone. The state comes
/// from the store itself or from its remote (<see cref="EarlierState"/>). Who has the store open does the commit: this
/// process, another one through the socket for statements, or this one when nobody has.
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
        cancellation.ThrowIfCancellationRequested();
        var entries = TakeBack(names, state, cancellation);
        var undo = entries.Find(e => e.Lsn is not null)?.Undo;
        if (undo is not null && (store.RemoteUrl ?? RemoteAccess.Default) is null)
            note("This store has no remote: the state before can be brought back only while the store itself reaches "
                + "back to it.");
        return new RollbackResult(store.Path, state.Bookmark.ToString(), undo, entries);
    }

    List<RollbackEntry> TakeBack(IReadOnlyList<string> names, EarlierState state, CancellationToken cancellation)
    {
        var list = new RollbackList(store.Path);
        var at = DateTimeOffset.UtcNow;
        foreach (var name in names) list.Begin(name, at, state.Bookmark);
        using var progress = begin($"taking {Words.Some(names)} back", 0);
        var work = names.Select((name, i) => (name, StoreHome.RollbackFile(i))).ToList();
        Replaced[] done;
        Bookmark now;
        try
        {
            (done, now) = Apply(work);
        }
        // Somebody wrote meanwhile, or is of an older version: then the whole is compared.
        catch (SqlFailure) when (TryWriteWhole(work, state, cancellation))
        {
            (done, now) = Apply(work);
        }
        var entries = names.Select((name, i) => new RollbackEntry(name, at, state.Bookmark.ToString(),
            (now with { Lsn = done[i].UndoLsn }).ToString(), done[i].Lsn == done[i].UndoLsn ? null : done[i].Lsn)
        {
            Pages = done[i].Pages < 0 ? null : done[i].Pages,
        }).ToList();
        foreach (var entry in entries) list.Done(entry);
        return entries;
    }

    /// <summary>Whether something was written in the place of a part of it.</summary>
    bool TryWriteWhole(List<(string Name, string File)> work, EarlierState state, CancellationToken cancellation) =>
        work.Count(w => state.TryWriteWhole(w.Name, Path.Combine(store.Path, w.File), begin, cancellation)) > 0;

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
    (Replaced[] Done, Bookmark Now) Apply(IReadOnlyList<(string Name, string File)> work)
    {
        // Whoever opens a store listens a moment later: nothing tells another process when.
        for (var started = Stopwatch.GetTimestamp(); !StoreRegistry.IsOpen(store.Path); Thread.Sleep(LookInterval))
        {
            if (SqlClient.TryConnect(store.Path, work[0].Name, WritePatience) is { } client)
                using (client)
                {
                    var done = client.Replace(work);
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
        return Here(work);
    }

    (Replaced[] Done, Bookmark Now) Here(IReadOnlyList<(string Name, string File)> work)
    {
        using var settings = StoreSettings.TakeOwnUris();
        var all = new List<ToReplace>();
        try
        {
            foreach (var (name, file) in work)
            {
                var path = PathOf(name);
                all.Add(new(HostConnection.Open(
                    $"{DatabasePath.UriOf(path)}?store={Uri.EscapeDataString(store.Path)}", write: true,
                    BusyPatienceMs), path, Path.Combine(store.Path, file)));
            }
            var done = Replacement.Run(all, store.Path, WritePatience);
            var answers = new SqlAnswers();
            all[0].Connection.Run("PRAGMA recovery_bookmark", answers);
            return (done, BookmarkIn(answers));
        }
        finally
        {
            foreach (var each in all) each.Connection.Dispose();
        }
    }

    string PathOf(string name)
    {
        var path = Path.Combine(store.Databases, name);
        return Stub.Read(path) is { Content: PathContent.Stub } stub && stub.Database == name
            ? path
            : throw new RecoveryException(RecoveryError.NotFound,
                $"The file of the database {name} of {store.Path} does not lie at {path}.",
                "Open it where it lies while this runs.")
            { Path = path };
    }

    static Bookmark BookmarkIn(SqlAnswers answers) =>
        Bookmark.Parse(System.Text.Encoding.UTF8.GetString(answers.Rows[0][0].Bytes));
}
