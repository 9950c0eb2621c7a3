using RecoveryVfs.Operations;
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

    public override Task WriteAsync(string database, string path, StepBegun begin, CancellationToken cancellation)
    {
        using var version = past.Pin(database)
            ?? throw new InvalidOperationException($"{database} is not among the databases of this state.");
        using var progress = begin($"reading {database} as it was", version.SizeBytes);
        VersionCopy.Write(version, path, progress.Add, cancellation);
        return Task.CompletedTask;
    }

    public override ValueTask DisposeAsync() => past.DisposeAsync();
}
