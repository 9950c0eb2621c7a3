namespace RecoveryVfs.RecoveryLog.Remote.Collect;

/// <summary>What must stay restorable.</summary>
internal sealed record Retention
{
    /// <summary>Every state of this time, up to now, can be restored.</summary>
    public TimeSpan Keep { get; init; } = TimeSpan.FromDays(1);

    /// <summary>At least so many of the newest hints stay, however old: damage to one leaves another.</summary>
    public int KeepHints { get; init; } = 2;

    /// <summary>How long a restore may take that began with hints when they were still in retention.</summary>
    public TimeSpan ReaderGrace { get; init; } = TimeSpan.FromHours(1);
}
