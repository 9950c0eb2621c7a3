namespace RecoveryVfs.RocksDb;

/// <summary>How a RocksDB is followed.</summary>
public sealed record FollowedRocksDbOptions
{
    /// <summary>How often an idle follower looks for more: one small request each time.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long the remote keeps what a stopped follower needs to go on; zero leaves that to the remote's retention. A
    /// follower that comes too late starts over.
    /// </summary>
    public TimeSpan PinExpiry { get; init; } = TimeSpan.FromDays(1);

    /// <summary>Tables fetched at a time.</summary>
    public int Parallelism { get; init; } = 8;
}
