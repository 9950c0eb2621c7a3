namespace RecoveryVfs.Replicate;

/// <summary>What can be chosen of a replicator.</summary>
public sealed record ReplicatorOptions
{
    /// <summary>The mirror's directory; null for <c>.NAME-recovery</c> beside the (first) database.</summary>
    public string? Store { get; init; }

    /// <summary>
    /// How the mirror's store is opened, by the names and meanings that it has everywhere: intervals, bounds,
    /// retention.
    /// </summary>
    public RecoveryOptions Recovery { get; init; } = new();

    /// <summary>
    /// The time between two looks at one database while it is written. What is written in between is told apart by its
    /// WAL all the same. A WAL that grows fast is looked at sooner, so that it can be kept short.
    /// </summary>
    public TimeSpan LookInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>How often a database is looked at that nothing seems to have happened to.</summary>
    public TimeSpan IdleInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a lock is waited for before the database counts as behind. It is tried again.</summary>
    public TimeSpan LockPatience { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Frames in a WAL before they are brought into the main file. A little less than the 1,000 at which SQLite itself
    /// begins, so that the application does not have to.
    /// </summary>
    public int CheckpointFrames { get; init; } = 800;

    /// <summary>
    /// How often a database that is in step is compared whole with its mirror all the same, a little at a time; zero
    /// never.
    /// </summary>
    public TimeSpan CompareInterval { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How much of it a second, of all databases together.</summary>
    public long CompareBytesPerSecond { get; init; } = 32L << 20;

    /// <summary>
    /// How old the oldest commit that only this machine has may be, and the newest look, before a replicator says that
    /// it is not ready.
    /// </summary>
    public TimeSpan ReadyBound { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Return from starting only after every database was looked at once.</summary>
    public bool WaitForFirstLook { get; init; } = true;

    /// <summary>Where a database does not exist, restore it from the remote first.</summary>
    public bool RestoreIfMissing { get; init; }

    /// <summary>
    /// Take the remote over although it belongs to a mirror that is not here: the replicator that wrote there never
    /// runs again.
    /// </summary>
    public bool TakeOver { get; init; }

    /// <summary>Told what happens, on any thread.</summary>
    public Action<ReplicationEvent>? Events { get; init; }

    /// <summary>The source of time.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
