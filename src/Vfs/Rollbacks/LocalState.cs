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
    readonly Dictionary<string, FollowedVersion> held = new(StringComparer.Ordinal);
    bool isCutOff;
    readonly HashSet<string> inPages = new(StringComparer.Ordinal); // Of them only pages were written.

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
            held.Add(name, past.Pin(name)
                ?? throw new InvalidOperationException($"{name} is not among the databases of this state."));
        try
        {
            await past.AdvanceAsync(RestoreTarget.Newest, cancellation);
        }
        catch (RecoveryException)
        {
            // The store has dropped log that was not read yet. What is held stays as it is.
            isCutOff = true;
        }
    }

    public override Task WriteAsync(string database, string path, StepBegun begin, CancellationToken cancellation)
    {
        var version = held[database];
        if (PagesOf(database, version, out var basis) is not { } pages)
        {
            WriteWhole(database, path, begin, cancellation);
            return Task.CompletedTask;
        }
        using var progress = begin($"reading {database} as it was", (long)pages.Length * version.PageSize);
        ReplacementFile.Write(path, (version.SizeBytes, version.PageSize), basis, pages, (at, page) =>
        {
            progress.Add(page.Length);
            return version.Read(at, page);
        }, cancellation);
        inPages.Add(database);
        return Task.CompletedTask;
    }

    /// <summary>The pages that may differ from the newest version, the first among them; null: nearly all.</summary>
    uint[]? PagesOf(string database, FollowedVersion then, out ulong basis)
    {
        basis = 0;
        if (isCutOff) return null;
        using var now = past.Pin(database);
        var changes = past.TakeChanges(then.DatabaseId);
        if (now is null || now.DatabaseId != then.DatabaseId || now.PageSize != then.PageSize || then.PageSize == 0)
            return null;
        basis = now.Lsn;
        var count = then.SizeBytes / then.PageSize;
        if (changes.UpTo((uint)count) is not { } written) return null;
        uint[] pages = [.. written.Append(1u).Distinct().Order()];
        return pages.Length <= count / 2 ? pages : null;
    }

    public override bool WriteWhole(string database, string path, StepBegun begin, CancellationToken cancellation)
    {
        if (inPages.Remove(database)) File.Delete(path);
        else if (File.Exists(path)) return false;
        var version = held[database];
        using var progress = begin($"reading {database} as it was", version.SizeBytes);
        VersionCopy.Write(version, path, progress.Add, cancellation);
        return true;
    }

    public override ValueTask DisposeAsync()
    {
        foreach (var version in held.Values) version.Dispose();
        return past.DisposeAsync();
    }
}
