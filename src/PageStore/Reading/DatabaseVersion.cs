using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>An immutable version of a database: what one commit left.</summary>
internal sealed class DatabaseVersion
{
    internal DatabaseVersion(ulong lsn, long sizeBytes, int pageSize, bool isWal, ulong checksum)
    {
        Lsn = lsn;
        SizeBytes = sizeBytes;
        PageSize = pageSize;
        IsWal = isWal;
        Checksum = checksum;
    }

    /// <summary>
    /// The LSN of the commit (for a database just created, of its creation). Grows with each version.
    /// </summary>
    public ulong Lsn { get; }

    /// <summary>The size of the file in bytes.</summary>
    public long SizeBytes { get; }

    /// <summary>The page size in which it is stored; 0 while empty.</summary>
    public int PageSize { get; }

    /// <summary>Whether bytes 18 and 19 of the header say WAL (2).</summary>
    public bool IsWal { get; }

    /// <summary>XOR over the hashes of all pages.</summary>
    public ulong Checksum { get; }

    /// <summary>How many pages it has, the last one perhaps partial.</summary>
    internal uint PageCount => PageSize == 0 ? 0 : (uint)((SizeBytes + PageSize - 1) / PageSize);

    /// <summary>Readers of this version; guarded by its database's gate.</summary>
    internal int Pins;

    /// <summary>
    /// Whether its commit is appended and not published: not known to be durable, and not in the page cache. Only the
    /// next writer reads it.
    /// </summary>
    internal bool IsAhead
    {
        get => Volatile.Read(ref isAhead);
        set => Volatile.Write(ref isAhead, value);
    }

    bool isAhead;

    /// <summary>
    /// The page store's state that shows this version; set (once, under the gate) before the page store moves past it,
    /// and only when somebody may still read it. While it is null the newest state below the pending commits shows it.
    /// </summary>
    internal IPageSnapshot? Snapshot
    {
        get => Volatile.Read(ref snapshot);
        set => Volatile.Write(ref snapshot, value);
    }

    IPageSnapshot? snapshot;
}
