using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>How a <see cref="RocksPageStore"/> is opened.</summary>
internal enum RocksMode
{
    /// <summary>For reading and writing, by one process at a time.</summary>
    ReadWrite = 0,
    /// <summary>
    /// What is in the files now, changing nothing in the directory. Another process may have it open, for writing too:
    /// what this one shows stays as it is; see <see cref="RocksPageStore.IsStale"/>.
    /// </summary>
    ReadOnly = 1,
}

/// <summary>
/// How a <see cref="RocksPageStore"/> is opened. The layout itself is fixed: see docs/decisions/0005-page-layout.md.
/// </summary>
internal sealed record RocksPageStoreOptions
{
    /// <summary>The directory of RocksDB's files; created in <see cref="RocksMode.ReadWrite"/>.</summary>
    public required string Directory { get; init; }

    /// <summary>For reading and writing, or for reading beside whoever writes.</summary>
    public RocksMode Mode { get; init; }

    /// <summary>Is told of each change of a file. Null: nobody is.</summary>
    public IFileRecorder? Recorder { get; init; }

    /// <summary>
    /// Blocks of keys kept in memory. The keys are about 1 % of the pages' size; with all of them here, a read is one
    /// read of the disk.
    /// </summary>
    public long BlockCacheBytes { get; init; } = 32L << 20;

    /// <summary>
    /// Pages gathered in memory before they are flushed as one blob file. Measured: 16, 32, 64 MiB peak at 44, 76, 138
    /// MB.
    /// </summary>
    public long WriteBufferBytes { get; init; } = 32L << 20;

    /// <summary>
    /// Compress pages with zstd: a quarter smaller than LZ4, for twice the processor time of a write.
    /// </summary>
    public bool Zstd { get; init; }

    /// <summary>
    /// Files are collected when more than this share of the pages in them is known to be garbage. Lower ships more and
    /// stores less.
    /// </summary>
    public double GarbageShareMax { get; init; } = 0.4;

    /// <summary>
    /// How many pages are live, when the caller knows. RocksDB counts a page as garbage only when its key was compacted
    /// away, late; with this number, <see cref="RocksPageStore.CollectGarbage"/> also sees what it does not know yet.
    /// </summary>
    public Func<long>? LivePages { get; init; }

    /// <summary>The files whose bytes are not all here; null when all are. The caller's to end.</summary>
    public IAbsentFiles? Absent { get; init; }

    /// <summary>Tests hand in files that fail.</summary>
    internal RecordedFiles? Files { get; init; }
}
