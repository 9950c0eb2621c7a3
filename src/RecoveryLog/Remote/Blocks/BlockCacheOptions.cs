namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>How a <see cref="BlockCache"/> works.</summary>
internal sealed record BlockCacheOptions
{
    /// <summary>
    /// Bytes that the blocks of all its files may take on disk; beyond that the least recently used go.
    /// </summary>
    public long BudgetBytes { get; init; } = long.MaxValue;

    /// <summary>Requests at a time: enough to fill a link with round trips.</summary>
    public int Gets { get; init; } = 8;

    /// <summary>The most blocks that one request brings: 4 MiB of usual ones.</summary>
    public int BlocksPerGet { get; init; } = 64;

    /// <summary>
    /// Files of up to so many bytes come whole with the first of their blocks that is read: one request, which proves
    /// itself, instead of one for the list, one for a block, and more for those that are read next.
    /// </summary>
    public long WholeBytes { get; init; }

    /// <summary>
    /// Blocks that were written before another start of the machine are verified anew, for a loss of power may have
    /// taken any of their bytes.
    /// </summary>
    public Guid BootId { get; init; } = OfThisBoot;

    /// <summary>Told before each change of a file: tests let a process end there.</summary>
    public Action<string>? BeforeChange { get; init; }

    static Guid OfThisBoot { get; } =
        File.Exists("/proc/sys/kernel/random/boot_id")
            && Guid.TryParse(File.ReadAllText("/proc/sys/kernel/random/boot_id"), out var id)
            ? id
            // Nothing is known of it: never the same one.
            : Guid.NewGuid();
}
