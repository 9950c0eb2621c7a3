namespace RecoveryVfs.Replicate;

/// <summary>What a replicator tells whoever watches it.</summary>
public enum ReplicationEventKind
{
    /// <summary>A database is compared whole with its mirror.</summary>
    Comparing,
    /// <summary>It was found equal.</summary>
    Equal,
    /// <summary>Its first copy was made.</summary>
    Copied,
    /// <summary>What had been missed is one commit now.</summary>
    Joined,
    /// <summary>A look failed; it is tried again.</summary>
    Behind,
    /// <summary>A database is in step (again).</summary>
    InStep,
    /// <summary>Its file is not there.</summary>
    Missing,
    /// <summary>It did not exist, and was written from the mirror.</summary>
    Restored,
    /// <summary>Something about the remote or the store.</summary>
    Warning,
    /// <summary>How far a copy is that is made in pieces.</summary>
    Copying,
}

/// <summary>One thing that happened.</summary>
public sealed record ReplicationEvent(ReplicationEventKind Kind, string Path, string Message);
