using RecoveryVfs.Handles;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Rollbacks;

/// <summary>A state that the store itself still has: in its pages as they were flushed last, and in its log.</summary>
internal sealed class LocalState : EarlierState
{
    readonly PastStore past;
    readonly Dictionary<string, Held> held = new(StringComparer.Ordinal);

    LocalState(PastStore past) => this.past = past;

    /// <summary>
    /// Opens it; null when the store does not reach so far, and <paramref name="mayBeElsewhere"/>.
    /// </summary>
    public static async Task<LocalState?> TryOpenAsync(StoreDirectory store, RestoreTarget to, bool mayBeElsewhere,
        CancellationToken cancellation)
    {
        PastStore? past = null;
        try
        {
            past = await new LocalPastSource(new StoreOptions { Directory = store.Path }, null)
                .OpenAsync(to, null, cancellation);
            var epoch = ((LocalPast)past).Epoch;
            if (to.Bookmark is { } given) Check(given, past, epoch, store);
            return new LocalState(past)
            {
                Bookmark = to.Bookmark ?? Bookmark.Of(past.LogId, epoch, past.Lsn),
                Databases = [.. past.Databases.Where(n => !DeletedName.Is(n))],
            };
        }
        catch (Exception e)
        {
            if (past is not null) await past.DisposeAsync();
            if (mayBeElsewhere && e is RecoveryException) return null;
            throw;
        }
    }

    static void Check(Bookmark given, PastStore past, ulong epoch, StoreDirectory store)
    {
        if (!given.IsOf(past.LogId))
            throw new RecoveryException(RecoveryError.Invalid,
                $"The bookmark {given} is one of another log than that of {store.Path} ({past.LogId}).",
                "Give a bookmark of this store, an LSN, or a time.")
            { Path = store.Path, Lsn = given.Lsn };
        if (given.Epoch != epoch)
            throw new RecoveryException(RecoveryError.NotFound,
                $"The bookmark {given} is of epoch {given.Epoch}, and {store.Path} is written in epoch {epoch}.",
                "Give a bookmark of this writer, an LSN, or a time.")
            { Path = store.Path, Lsn = given.Lsn };
    }

    /// <summary>
    /// The versions of then stay readable while the log is followed to its end: so it is known which pages were
    /// written since.
    /// </summary>
    public override async Task HoldAsync(IReadOnlyList<string> databases, CancellationToken cancellation)
    {
        foreach (var name in databases)
            held.Add(name, new Held(past.Pin(name)
                ?? throw new InvalidOperationException($"{name} is not among the databases of this state.")));
        try
        {
            await past.AdvanceAsync(RestoreTarget.Newest, cancellation);
        }
        catch (RecoveryException)
        {
            // The store has dropped log that was not read yet. What is held stays as it is, and is written whole.
            return;
        }
        foreach (var name in databases) held[name] = Known(name, held[name].Version);
    }

    /// <summary>With the pages that may differ from the newest version, when those are the smaller part.</summary>
    Held Known(string database, FollowedVersion then)
    {
        using var now = past.Pin(database);
        var changes = past.TakeChanges(then.DatabaseId);
        if (now is null || now.DatabaseId != then.DatabaseId || now.PageSize != then.PageSize || then.PageSize == 0)
            return new Held(then);
        var count = then.SizeBytes / then.PageSize;
        if (changes.UpTo((uint)count) is not { } written) return new Held(then);
        uint[] pages = [.. written.Append(1u).Distinct().Order()];
        return pages.Length <= count / 2 ? new Held(then, new Differing(pages, now.Lsn)) : new Held(then);
    }

    public override Task WriteAsync(string database, string path, StepBegun begin, CancellationToken cancellation)
    {
        var (version, differing) = held[database];
        if (differing is null) WriteAll(database, path, begin, cancellation);
        else
        {
            using var progress = begin(Step(database), (long)differing.Pages.Length * version.PageSize);
            PagesReplacement.Write(path, (version.SizeBytes, version.PageSize), differing.Basis, differing.Pages,
                (at, page) =>
                {
                    progress.Add(page.Length);
                    return version.Read(at, page);
                }, cancellation);
        }
        return Task.CompletedTask;
    }

    public override bool TryWriteWhole(string database, string path, StepBegun begin, CancellationToken cancellation)
    {
        if (held[database].Differing is null) return false;
        File.Delete(path);
        WriteAll(database, path, begin, cancellation);
        return true;
    }

    void WriteAll(string database, string path, StepBegun begin, CancellationToken cancellation)
    {
        var version = held[database].Version;
        using var progress = begin(Step(database), version.SizeBytes);
        VersionCopy.Write(version, path, progress.Add, cancellation);
    }

    static string Step(string database) => $"reading {database} as it was";

    public override ValueTask DisposeAsync()
    {
        foreach (var each in held.Values) each.Version.Dispose();
        return past.DisposeAsync();
    }

    /// <summary>A database as it was, and what differs from it now; null: all of it may.</summary>
    sealed record Held(FollowedVersion Version, Differing? Differing = null);

    /// <summary>Pages that may differ, the first among them, from those of a commit.</summary>
    sealed record Differing(uint[] Pages, ulong Basis);
}
