using RecoveryVfs.Handles;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.Followed;

/// <summary>
/// A read-only handle on a database that a follower keeps up to date, or that another process writes. Taking SHARED
/// pins the newest commit, so that each transaction sees one; the writer goes on meanwhile. Between transactions
/// nothing is held.
/// </summary>
/// <remarks>
/// SQLite is shown a rollback-mode database whatever mode the writer uses, without journal and WAL:
/// <see cref="FollowedVersion"/> reads through the WAL.
/// </remarks>
internal sealed class FollowedFile(FollowedDatabase open) : VfsFile
{
    FollowerReader? reader;
    FollowedVersion? pin;

    PagerCache pagerCache;

    public FollowedDatabase Open => open;

    public IFollowedStore Source => open.Source;

    public LockLevel Level { get; private set; }

    public override long SizeBytes
    {
        get
        {
            if (pin is { } pinned) return pinned.SizeBytes;
            using var brief = Source.Read();
            using var newest = Pin(brief);
            return newest.SizeBytes;
        }
    }

    public override int Read(Span<byte> destination, long offset)
    {
        if (pin is not { } pinned)
        {
            // The header, before the first transaction.
            using var brief = Source.Read();
            using var newest = Pin(brief);
            return Found(newest.Read(offset, destination), destination);
        }
        var code = Found(pinned.Read(offset, destination), destination);
        pagerCache.Validate(destination, offset, code, pinned.Lsn);
        return code;
    }

    FollowedVersion Pin(FollowerReader from) => from.Pin(open.Name)
        ?? throw new RecoveryLog.RecoveryException(RecoveryLog.RecoveryError.IoRead,
            $"The database {open.Name} was deleted or renamed by its writer. Close this connection.");

    public override int Lock(LockLevel level)
    {
        if (level > LockLevel.Shared) return Sqlite.ReadOnly;
        if (Level >= level) return Sqlite.Ok;
        FollowerReader begun;
        try
        {
            begun = Source.Read();
        }
        catch (RecoveryLog.RecoveryException e) when (e.Error == RecoveryLog.RecoveryError.Busy)
        {
            return Failures.Report(Sqlite.Busy, e.Message);
        }
        try
        {
            pin = Pin(begun);
            reader = begun;
        }
        catch
        {
            begun.Dispose();
            throw;
        }
        Level = LockLevel.Shared;
        LastShared = this;
        return Sqlite.Ok;
    }

    public override int Unlock(LockLevel level)
    {
        if (level >= Level) return Sqlite.Ok;
        Level = LockLevel.None;
        if (ReferenceEquals(LastShared, this)) LastShared = null;
        pin?.Dispose();
        pin = null;
        reader?.Dispose();
        reader = null;
        return Sqlite.Ok;
    }

    public override int Write(ReadOnlySpan<byte> source, long offset) => Sqlite.ReadOnly;

    public override int Truncate(long sizeBytes) => Sqlite.ReadOnly;

    public override int Sync() => Sqlite.Ok;

    public override int Close()
    {
        Unlock(LockLevel.None);
        FollowedDatabases.Detach(open);
        return Sqlite.Ok;
    }
}
