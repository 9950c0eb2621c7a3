using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.Handles;

/// <summary>
/// A handle on a database file. Its reads come from its own uncommitted pages, else from the version that it has pinned, else
/// from the newest. This part holds reading and writing; MainFile.Locks.cs locks and pins, MainFile.Commit.cs publishing,
/// MainFile.SharedMemory.cs the wal-index.
/// </summary>
internal sealed partial class MainFile : VfsFile
{
    readonly OpenDatabase open;
    readonly Database database;
    readonly bool readOnly;
    readonly bool noLock;
    Isolation isolation;

    // The version that reads come from; null for the newest (no lock, or a WAL may be in use).
    DatabaseVersion? pin;
    // Uncommitted pages, and when they are to be published.
    PageOverlay? overlay;
    Publishing publishing;

    // The version (its LSN) that this connection's page cache was last known to agree with; 0 for unknown. See ValidateCache.
    ulong validated;

    public MainFile(OpenDatabase open, RecoveryOptions options, bool readOnly, OpenParameters parameters)
    {
        this.open = open;
        isolation = options.Isolation;
        Durability = options.Durability;
        this.readOnly = readOnly;
        database = open.Database;
        noLock = parameters.NoLock;
        PowersafeOverwrite = parameters.PowersafeOverwrite;
        // An immutable database is read without locks, and as one version.
        if (parameters.Immutable) pin = database.Pin();
    }

    public OpenDatabase Open => open;

    public Store Store => open.Store.Store;

    /// <summary>Whether the database was deleted under this handle.</summary>
    public bool IsDeleted => database.IsDeleted;

    /// <summary>SQLITE_FCNTL_POWERSAFE_OVERWRITE: whether SQLite may write less than a sector.</summary>
    public bool PowersafeOverwrite { get; set; }

    /// <summary>SQLITE_FCNTL_PERSIST_WAL: whether the last close leaves the WAL.</summary>
    public bool PersistWal { get; set; }

    /// <summary>When this handle's commits return.</summary>
    public Durability Durability { get; set; }

    /// <summary>Readers' and writers' behaviour of this handle; takes effect with the next lock.</summary>
    public Isolation Isolation
    {
        get => isolation;
        set => isolation = value;
    }

    /// <remarks>
    /// No more than a disk would say. SEQUENTIAL and SAFE_APPEND would be true, but save SQLite only calls that cost us nothing, and
    /// BATCH_ATOMIC would gain nothing: commits are atomic anyway, and the pager's way back from a refused batch assumes that the
    /// file still shows what was there before it.
    /// </remarks>
    public override int Capabilities => PowersafeOverwrite ? Sqlite.CapPowersafeOverwrite : 0;

    public override long SizeBytes => overlay?.SizeBytes ?? pin?.SizeBytes ?? database.Current.SizeBytes;

    /// <remarks>Hot path: with a pin, no lock and no allocation here; the page cache answers below.</remarks>
    public override int Read(Span<byte> destination, long offset)
    {
        if (open.Failure is { } failure) return Failures.Report(Sqlite.IoErrRead, failure);
        if (overlay is { } own) return Found(own.Read(offset, destination), destination);
        if (pin is { } pinned)
        {
            var code = Found(database.Read(pinned, offset, destination), destination);
            if (Level >= LockLevel.Shared) ValidateCache(destination, offset, code, pinned.Lsn);
            return code;
        }
        var newest = database.Pin();
        try
        {
            var code = Found(database.Read(newest, offset, destination), destination);
            if (Level >= LockLevel.Shared) ValidateCache(destination, offset, code, newest.Lsn);
            return code;
        }
        finally
        {
            database.Unpin(newest);
        }
    }

    /// <summary>
    /// Makes the pager drop its cache when it belongs to another version. Each time it takes SHARED, the pager compares the 16 bytes
    /// at 24 (change counter and more) with those it remembers, and keeps its cache when they are equal. Under snapshots
    /// that is not enough: in locking_mode=EXCLUSIVE only the first commit moves the counter, so two versions that others
    /// see can carry the same bytes; and closing a WAL leaves the cache stale without telling. So when the version is not the one
    /// the cache was last known to agree with, the answer to that read is inverted; it is used for the comparison and nothing else.
    /// </summary>
    void ValidateCache(Span<byte> destination, long offset, int code, ulong lsn)
    {
        if (destination.Length == 16 && offset == 24)
        {
            if (code == Sqlite.Ok && validated != lsn)
                foreach (ref var b in destination) b = (byte)~b;
            validated = lsn;
        }
        else if (validated == 0 && destination.Length >= 512) validated = lsn;
    }

    public override int Write(ReadOnlySpan<byte> source, long offset)
    {
        if (readOnly) return Sqlite.ReadOnly;
        if (open.Failure is { } failure) return Failures.Report(Sqlite.IoErrWrite, failure);
        var own = overlay ?? BeginOverlay(truncating: false);
        isCheckpointed = false;
        try
        {
            own.Write(offset, source);
            if (publishing == Publishing.AtCheckpointDone) Store.Reserve(own);
        }
        catch when (publishing == Publishing.AtCheckpointDone)
        {
            // SQLite gives this checkpoint up, but still says CKPT_DONE.
            checkpointFailed = true;
            throw;
        }
        if (publishing == Publishing.AtOnce) PublishAtOnce();
        return Sqlite.Ok;
    }

    public override int Truncate(long sizeBytes)
    {
        if (readOnly) return Sqlite.ReadOnly;
        if (open.Failure is { } failure) return Failures.Report(Sqlite.IoErrTruncate, failure);
        if (sizeBytes >= SizeBytes) return Sqlite.Ok;
        var own = overlay ?? BeginOverlay(truncating: true);
        own.Truncate(sizeBytes);
        if (publishing == Publishing.AtOnce) PublishAtOnce();
        return Sqlite.Ok;
    }

    public override int Close()
    {
        try
        {
            Unlock(LockLevel.None);
            UnmapSharedMemory();
            DropOverlay();
            if (pin is { } pinned)
            {
                pin = null;
                database.Unpin(pinned);
            }
        }
        finally
        {
            OpenDatabases.Detach(open);
        }
        return Sqlite.Ok;
    }
}
