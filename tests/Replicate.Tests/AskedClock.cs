namespace RecoveryVfs.Replicate.Tests;

/// <summary>A mirror's clock, which is asked once for each of its commits, before that is made.</summary>
internal sealed class AskedClock : TimeProvider
{
    public Action? Asked { get; set; }

    public override DateTimeOffset GetUtcNow()
    {
        Asked?.Invoke();
        return base.GetUtcNow();
    }
}
