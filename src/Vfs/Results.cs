namespace RecoveryVfs;

/// <summary>How far an operation is.</summary>
/// <param name="Step">What is being done, in words.</param>
/// <param name="Done">How much of it is done: bytes, or pages where a database is copied.</param>
/// <param name="Total">How much it is altogether; 0 where that is not known.</param>
public readonly record struct RecoveryProgress(string Step, long Done, long Total);

/// <summary>Which state a restore brings back, and how.</summary>
public sealed record RestoreOptions
{
    /// <summary>
    /// The state after the commit with this LSN; the newest when neither this nor <see cref="Time"/> is given.
    /// </summary>
    public ulong? Lsn { get; init; }

    /// <summary>The state at this time.</summary>
    public DateTimeOffset? Time { get; init; }

    /// <summary>
    /// Start from the hints of this LSN, not from the newest that fit; 0 is the beginning of the log.
    /// </summary>
    public ulong? HintsLsn { get; init; }

    /// <summary>The database that a restore to a file writes; needed when the store has several.</summary>
    public string? Database { get; init; }

    /// <summary>
    /// A store of this remote whose machine is gone: what only its disk has is sent to the remote first.
    /// </summary>
    public string? FromLocal { get; init; }

    /// <summary>Objects fetched at a time.</summary>
    public int Parallelism { get; init; } = 8;

    /// <summary>Read every page back and compare with the checksums that its writer logged.</summary>
    public bool Verify { get; init; }
}

/// <summary>What a restore brought back.</summary>
/// <param name="Remote">Where it came from.</param>
/// <param name="Place">The store's directory, or the plain file.</param>
/// <param name="Lsn">The state: all records up to this one.</param>
/// <param name="Time">The time of its newest record.</param>
/// <param name="HintsLsn">The hints that it started from.</param>
/// <param name="Databases">The databases in it.</param>
/// <param name="FetchedBytes">Bytes fetched from the remote.</param>
/// <param name="Notes">What to know of it; mostly nothing.</param>
public sealed record RestoredState(
    string Remote, string Place, ulong Lsn, DateTimeOffset Time, ulong HintsLsn, IReadOnlyList<string> Databases,
    long FetchedBytes, IReadOnlyList<string> Notes);

/// <summary>What to ship, and for how long to wait.</summary>
public sealed record SyncOptions
{
    /// <summary>The remote; null for the one that the store has.</summary>
    public string? Remote { get; init; }

    /// <summary>How long to wait for what another process, or this one, ships.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The remote was emptied or deleted on purpose: begin it anew.</summary>
    public bool NewRemote { get; init; }

    /// <summary>
    /// Go on from fresh hints where the local log no longer has what the remote lacks; leaves a gap in history.
    /// </summary>
    public bool Restart { get; init; }
}

/// <summary>What the remote has of a store.</summary>
/// <param name="Store">The store's directory.</param>
/// <param name="Remote">Its remote.</param>
/// <param name="Lsn">The newest LSN when the wait began.</param>
/// <param name="ShippedLsn">The newest LSN in the remote.</param>
/// <param name="Restorable">Whether a restore can deliver it.</param>
public sealed record SyncResult(string Store, string Remote, ulong Lsn, ulong ShippedLsn, bool Restorable);

/// <summary>A state that a remote keeps restorable beyond retention.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Lsn">The state: all records up to this one.</param>
/// <param name="Onward">Whether every later state is kept, too, as a follower needs it.</param>
/// <param name="Expires">Until when; null for good.</param>
/// <param name="Note">What it is for.</param>
public sealed record Snapshot(string Name, ulong Lsn, bool Onward, DateTimeOffset? Expires, string? Note);

/// <summary>Which state a snapshot keeps, and until when.</summary>
public sealed record SnapshotOptions
{
    /// <summary>The state after the commit with this LSN; the newest in the remote for null.</summary>
    public ulong? Lsn { get; init; }

    /// <summary>Until when; null for good.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>What it is for.</summary>
    public string? Note { get; init; }
}

/// <summary>A database that was taken back to an earlier state.</summary>
/// <param name="Database">Its name.</param>
/// <param name="At">When.</param>
/// <param name="To">The bookmark of the state that it has since.</param>
/// <param name="Undo">
/// The bookmark of the state that it had: rolling back to it undoes this. Null when it is not known that it was done.
/// </param>
/// <param name="Lsn">The commit that did it; null when nothing differed.</param>
public sealed record RollbackEntry(string Database, DateTimeOffset At, string To, string? Undo, ulong? Lsn)
{
    /// <summary>Pages that differed; null where they were not compared (in WAL mode all are written).</summary>
    public long? Pages { get; init; }
}

/// <summary>What rolling a store back did.</summary>
/// <param name="Store">The store's directory.</param>
/// <param name="To">The bookmark of the state that its databases have since.</param>
/// <param name="Undo">The bookmark of the state that they had; null when nothing differed.</param>
/// <param name="Databases">Each database.</param>
public sealed record RollbackResult(string Store, string To, string? Undo, IReadOnlyList<RollbackEntry> Databases);

/// <summary>A remote that began as a state of another one, and names what lies there.</summary>
/// <param name="Url">The branch.</param>
/// <param name="Parent">The remote that it was made from.</param>
/// <param name="Lsn">The state that it began with.</param>
/// <param name="Time">When that was written; null in a list.</param>
/// <param name="Expires">Until when its parent keeps what it needs; null for good.</param>
public sealed record Branch(string Url, string Parent, ulong Lsn, DateTimeOffset? Time, DateTimeOffset? Expires)
{
    /// <summary>How many extents it names; 0 in a list.</summary>
    public int Extents { get; init; }

    /// <summary>How many bytes those have.</summary>
    public long ExtentBytes { get; init; }

    /// <summary>How many bytes were written for it.</summary>
    public long WrittenBytes { get; init; }

    /// <summary>Whether its extents were copied, because it is in another bucket.</summary>
    public bool IsCopy { get; init; }

    /// <summary>The pin in the parent; null where nothing is named there.</summary>
    public string? Pin { get; init; }

    /// <summary>In a list: what is wrong with it; null when it is there.</summary>
    public string? Problem { get; init; }
}
