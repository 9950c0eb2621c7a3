namespace RecoveryVfs.RecoveryLog.Remote.State;

/// <summary>What a shipper is about.</summary>
internal enum ShipperPhase
{
    /// <summary>Has not reached the remote yet, since it was started.</summary>
    Connecting,
    /// <summary>Ships, or has nothing to ship.</summary>
    Shipping,
    /// <summary>Cannot reach the remote, and keeps trying; commits queue in the local log.</summary>
    Outage,
    /// <summary>Another writer owns the log. Final.</summary>
    Fenced,
    /// <summary>Cannot go on for a reason that somebody has to mend. Final until the store is opened again.</summary>
    Failed,
    /// <summary>Was stopped.</summary>
    Stopped,
}
