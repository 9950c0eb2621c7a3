namespace RecoveryVfs.Handles;

/// <summary>Where a handle is in a checkpoint.</summary>
internal enum Checkpoint
{
    None,
    /// <summary>Between CKPT_START and CKPT_DONE.</summary>
    UnderWay,
    /// <summary>The same, and a write of it has failed: nothing of it is to be published.</summary>
    Failed,
    /// <summary>The last thing done was to finish one: the xTruncate that may follow is part of it.</summary>
    Done,
}
