namespace RecoveryVfs.Replicate;

/// <summary>
/// How a replicator is. Nothing here looks healthy while something committed may be lost with this machine.
/// </summary>
public sealed record ReplicatorStatus
{
    /// <summary>Each database.</summary>
    public required IReadOnlyList<DatabaseStatus> Databases { get; init; }

    /// <summary>The mirror's directory.</summary>
    public required string Store { get; init; }

    /// <summary>Where it ships to; null when nowhere.</summary>
    public string? Remote { get; init; }

    /// <summary>The newest LSN of the mirror.</summary>
    public ulong Lsn { get; init; }

    /// <summary>The newest LSN in the remote.</summary>
    public ulong ShippedLsn { get; init; }

    /// <summary>For how long the oldest commit that only this machine has has been waiting.</summary>
    public TimeSpan Lag { get; init; }

    /// <summary>What is wrong with the remote; null when nothing is.</summary>
    public string? RemoteError { get; init; }

    /// <summary>Why somebody who counts on it must not; null when all is well.</summary>
    public string? WhyNotReady { get; init; }

    /// <summary>
    /// Whether every database is in step, and what was committed is in the remote but for the newest moments.
    /// </summary>
    public bool IsReady => WhyNotReady is null;

    /// <summary>
    /// Why it will never go on by itself: another writer has the remote, or the mirror takes no more writes. Null while
    /// it goes on.
    /// </summary>
    public string? Failed { get; init; }
}
