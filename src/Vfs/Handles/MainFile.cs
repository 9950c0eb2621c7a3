using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.Handles;

/// <summary>
/// A handle on a database file. Its reads come from its own uncommitted pages, else from the version that it has
/// pinned, else from the newest. Its states are its lock (<see cref="HeldLock"/>), what it has written
/// (<see cref="Transaction"/>) and where it is in a checkpoint.
/// </summary>
/// <remarks>
/// This part holds reading and writing; MainFile.Locks.cs locks and pins, MainFile.Line.cs how writers follow each
/// other, MainFile.Commit.cs publishing, MainFile.SharedMemory.cs the wal-index.
/// </remarks>
internal sealed partial class MainFile : VfsFile
{
    readonly OpenDatabase open;
    readonly Database database;
    readonly bool readOnly;
    readonly bool noLock;
    Isolation isolation;

    // The version that reads come from; null for the newest (no lock, or a WAL may be in use).
    DatabaseVersion? pin;
    // What this handle has written, until it is published.
    Transaction? transaction;
    Checkpoint checkpoint;
    PagerCache pagerCache;

    public MainFile(OpenDatabase open, RecoveryOptions options, bool readOnly, OpenParameters parameters)
    {
        this.open = open;
        isolation = options.Isolation;
        Durability = options.Durability;
        this.readOnly = readOnly;
        database = open.Database;
        held = new HeldLock(open);
        letNextWrite = LetNextWrite;
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
    /// No more than a disk would say. SEQUENTIAL and SAFE_APPEND would be true, but save SQLite only calls that cost us
    /// nothing, and BATCH_ATOMIC would gain nothing: commits are atomic anyway, and the pager's way back from a refused
    /// batch assumes that the file still shows what was there before it.
    /// </remarks>
    public override int Capabilities => PowersafeOverwrite ? Sqlite.CapPowersafeOverwrite : 0;

    public override long SizeBytes => transaction?.Pages.SizeBytes ?? pin?.SizeBytes ?? database.Current.SizeBytes;

    /// <remarks>Hot path: with a pin, no lock and no allocation here; the page cache answers below.</remarks>
    public override int Read(Span<byte> destination, long offset)
    {
        if (open.Failure is { } failure) return Failures.Report(Sqlite.IoErrRead, failure);
        if (transaction is { } own) return Found(own.Pages.Read(offset, destination), destination);
        if (pin is { } pinned)
        {
            if (pinned.IsAhead && Level == LockLevel.Shared && offset >= pinned.PageSize) Store.WaitDurable(pinned);
            var code = Found(database.Read(pinned, offset, destination), destination);
            if (Level >= LockLevel.Shared) pagerCache.Validate(destination, offset, code, pinned.Lsn);
            return code;
        }
        var newest = database.Pin();
        try
        {
            var code = Found(database.Read(newest, offset, destination), destination);
            if (Level >= LockLevel.Shared) pagerCache.Validate(destination, offset, code, newest.Lsn);
            return code;
        }
        finally
        {
            database.Unpin(newest);
        }
    }

    public override int Write(ReadOnlySpan<byte> source, long offset)
    {
        if (readOnly) return Sqlite.ReadOnly;
        if (open.Failure is { } failure) return Failures.Report(Sqlite.IoErrWrite, failure);
        var own = transaction ?? Begin(truncating: false);
        if (checkpoint == Checkpoint.Done) checkpoint = Checkpoint.None;
        try
        {
            own.Pages.Write(offset, source);
            if (own.Due == Publishing.AtCheckpointDone) Store.Reserve(own.Pages);
        }
        catch when (own.Due == Publishing.AtCheckpointDone)
        {
            // SQLite gives this checkpoint up, but still says CKPT_DONE.
            checkpoint = Checkpoint.Failed;
            throw;
        }
        if (own.Due == Publishing.AtOnce) PublishAtOnce(own);
        return Sqlite.Ok;
    }

    public override int Truncate(long sizeBytes)
    {
        if (readOnly) return Sqlite.ReadOnly;
        if (open.Failure is { } failure) return Failures.Report(Sqlite.IoErrTruncate, failure);
        if (sizeBytes >= SizeBytes) return Sqlite.Ok;
        var own = transaction ?? Begin(truncating: true);
        own.Pages.Truncate(sizeBytes);
        if (own.Due == Publishing.AtOnce) PublishAtOnce(own);
        return Sqlite.Ok;
    }

    public override int Close()
    {
        try
        {
            Unlock(LockLevel.None);
        }
        finally
        {
            try
            {
                UnmapSharedMemory();
                Drop();
                LeaveLine();
                Unpin();
            }
            finally
            {
                OpenDatabases.Detach(open);
            }
        }
        return Sqlite.Ok;
    }
}
