namespace RecoveryVfs.Replicate;

/// <summary>How a mirror stands to its database.</summary>
public enum ReplicationPhase
{
    /// <summary>
    /// It was not looked at yet, or something happened that only comparing every page can settle, which is under way:
    /// nobody knows.
    /// </summary>
    NotCertain,
    /// <summary>What the newest look found is in the mirror.</summary>
    InStep,
    /// <summary>
    /// The newest look failed: what was committed since the one before is not in the mirror. It is tried again.
    /// </summary>
    Behind,
    /// <summary>There is no file at the path (any more). Its mirror is kept.</summary>
    Missing,
}

/// <summary>One database, as its replicator sees it.</summary>
/// <param name="Path">The database.</param>
/// <param name="Name">Its name in the mirror.</param>
/// <param name="Phase">How the mirror stands to it.</param>
/// <param name="Why">Why it is not in step; null when it is.</param>
/// <param name="Lsn">The newest commit in the mirror.</param>
/// <param name="SizeBytes">Its size there.</param>
/// <param name="Transactions">Transactions taken, one by one, since the start.</param>
/// <param name="Joins">How often it was compared whole because something may have been missed.</param>
/// <param name="LookedAt">When it was last found in step.</param>
public sealed record DatabaseStatus(
    string Path, string Name, ReplicationPhase Phase, string? Why, ulong Lsn, long SizeBytes, long Transactions,
        long Joins, DateTimeOffset? LookedAt);
