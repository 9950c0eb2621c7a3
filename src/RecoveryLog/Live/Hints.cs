namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>
/// Where a replay may start: what lives at an LSN, and the first LSN to replay. Read and written by
/// <see cref="HintsFormat"/>.
/// </summary>
internal sealed record Hints
{
    /// <summary>The log they belong to.</summary>
    public required Guid LogId { get; init; }
    /// <summary>The epoch of the writer that made them.</summary>
    public required ulong Epoch { get; init; }
    /// <summary>The LSN at which files and databases were as listed.</summary>
    public required ulong Lsn { get; init; }
    /// <summary>
    /// The first LSN to replay: pages in the listed RocksDB files may be older than <see cref="Lsn"/>. Of records up to
    /// <see cref="Lsn"/> only page commits are replayed.
    /// </summary>
    public required ulong ReplayFrom { get; init; }
    /// <summary>The first fnode never used.</summary>
    public required ulong NextFnode { get; init; }
    /// <summary>The first database id never used.</summary>
    public required uint NextDatabaseId { get; init; }
    /// <summary>The live files, by fnode.</summary>
    public required IReadOnlyList<LiveFile> Files { get; init; }
    /// <summary>The databases, by id.</summary>
    public required IReadOnlyList<LiveDatabase> Databases { get; init; }
    /// <summary>
    /// When they were made; in local hints the time of the newest record that they cover, or 0 (unix milliseconds).
    /// </summary>
    public long UnixTimeMs { get; init; }

    /// <summary>Before the first record of a log: nothing lives.</summary>
    public static Hints Nothing(Guid logId, ulong epoch) => new()
    {
        LogId = logId,
        Epoch = epoch,
        Lsn = 0,
        ReplayFrom = 1,
        NextFnode = 1,
        NextDatabaseId = 1,
        Files = [],
        Databases = [],
    };
}
