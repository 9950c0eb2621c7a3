namespace RecoveryVfs.Handles;

/// <summary>
/// A file that SQLite has open through us. Methods return SQLite's result codes or throw; each file is used by one
/// thread at a time. What only a main database file has (locks, shared memory) does nothing by default.
/// </summary>
internal abstract class VfsFile
{
    /// <summary>
    /// The main file that took SHARED last on this thread, while it has it: the pager asks by name for its journal and
    /// WAL then.
    /// </summary>
    [ThreadStatic] protected internal static VfsFile? LastShared;

    /// <summary>The size that this handle sees.</summary>
    public abstract long SizeBytes { get; }

    /// <summary>Fills the destination; beyond the end of the file with zeros, saying SQLITE_IOERR_SHORT_READ.</summary>
    public abstract int Read(Span<byte> destination, long offset);

    public abstract int Write(ReadOnlySpan<byte> source, long offset);

    public abstract int Truncate(long sizeBytes);

    public abstract int Sync();

    public abstract int Close();

    /// <summary>What SQLite may rely on: SQLITE_IOCAP_*.</summary>
    public virtual int Capabilities => Sqlite.CapPowersafeOverwrite;

    public virtual int Lock(LockLevel level) => Sqlite.Ok;

    public virtual int Unlock(LockLevel level) => Sqlite.Ok;

    /// <summary>Whether any handle holds RESERVED or more on the file.</summary>
    public virtual bool IsReserved => false;

    public virtual int MapSharedMemory(int region, int sizeBytes, bool extend, out nint address)
    {
        address = 0;
        return Sqlite.IoErrShmMap;
    }

    public virtual int LockSharedMemory(int offset, int count, int flags) => Sqlite.IoErrShmLock;

    /// <summary>SQLite is about to show the others, in shared memory, what it has done.</summary>
    public virtual void BeforeOthersSee() { }

    public virtual int UnmapSharedMemory() => Sqlite.Ok;

    /// <summary>Zeros what a read did not find and says so.</summary>
    protected static int Found(int count, Span<byte> destination)
    {
        if (count == destination.Length) return Sqlite.Ok;
        destination[count..].Clear();
        return Sqlite.IoErrShortRead;
    }
}
