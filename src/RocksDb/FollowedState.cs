using Database = RocksDbSharp.RocksDb;

namespace RecoveryVfs.RocksDb;

/// <summary>A state of a followed RocksDB, open for reading until it is disposed.</summary>
public sealed class FollowedState : IDisposable
{
    Action? ended;

    internal FollowedState(Database db, ulong lsn, Action ended)
    {
        (Db, Lsn) = (db, lsn);
        this.ended = ended;
    }

    /// <summary>The RocksDB, read-only. It is closed by this object.</summary>
    public Database Db { get; }

    /// <summary>The newest record of the log that it shows.</summary>
    public ulong Lsn { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref ended, null) is not { } end) return;
        Db.Dispose();
        end();
    }
}
