using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>How a store is opened; see docs/OPERATIONS.md for each.</summary>
public sealed record StoreOptions
{
    /// <summary>The store's directory (created when missing).</summary>
    public required string Directory { get; init; }

    /// <summary>Pages of newest versions kept in memory, shared by all connections.</summary>
    public long PageCacheBytes { get; init; } = 64L << 20;

    /// <summary>Page writes of open transactions held in memory before they spill to an unlinked file.</summary>
    public long OverlayBytes { get; init; } = 64L << 20;

    /// <summary>Committed pages waiting in memory to enter the page store; writers wait beyond it.</summary>
    public long PendingBytes { get; init; } = 32L << 20;

    /// <summary>
    /// Memory for the ends of all WALs: what is not committed yet, and what the log has and their files do not yet. One
    /// takes at most half.
    /// </summary>
    public long WalBufferBytes { get; init; } = 64L << 20;

    /// <summary>Log kept locally before committed pages are brought into files so that it can be recycled.</summary>
    public long LogBytesBetweenFlushes { get; init; } = 32L << 20;

    /// <summary>
    /// The most the local log may grow to; commits fail beyond it (it grows when pages cannot enter the page store, or
    /// a remote is away).
    /// </summary>
    public long MaxLocalLogBytes { get; init; } = 4L << 30;

    /// <summary>The remote to ship to; null for none.</summary>
    internal RemoteOptions? Remote { get; init; }

    /// <summary>
    /// Told, on any thread, what an operator must know and no caller waits for: the remote is away, or damaged.
    /// </summary>
    public Action<RecoveryException>? Alarm { get; init; }

    /// <summary>
    /// Keep pages in memory instead of RocksDB: for tests and throw-away stores. The log is written all the same.
    /// </summary>
    public bool PagesInMemory { get; init; }

    /// <summary>
    /// Opens the files of a directory that come from a remote when they are read; null refuses such a directory.
    /// </summary>
    internal Func<StoreHome, IAbsentFiles>? OpenAbsent { get; init; }

    /// <summary>
    /// Whether a writer whose files are not all here has the rest come by itself; tests want to see what is missing.
    /// </summary>
    internal bool FetchesRest { get; init; } = true;

    /// <summary>The local disk under the log, the plain files and the hints.</summary>
    internal ILogDisk Disk { get; init; } = LocalDisk.Instance;

    /// <summary>Size of a log segment; tests take small ones.</summary>
    internal long SegmentBytes { get; init; } = 16L << 20;

    /// <summary>The source of time.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>The directory, with what is in it.</summary>
    internal StoreHome Home => new(Disk, Directory);

    /// <summary>With a small bound of the log, what fills it and what empties it go by smaller steps.</summary>
    internal StoreOptions WithinLogBound() => this with
    {
        LogBytesBetweenFlushes = Math.Min(LogBytesBetweenFlushes, MaxLocalLogBytes / 4),
        PendingBytes = Math.Min(PendingBytes, MaxLocalLogBytes / 4),
        WalBufferBytes = Math.Min(WalBufferBytes, MaxLocalLogBytes / 4),
        SegmentBytes = Math.Min(SegmentBytes, Math.Max(MaxLocalLogBytes / 16, 64 << 10)),
    };
}
