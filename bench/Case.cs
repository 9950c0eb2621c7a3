namespace RecoveryVfs.Bench;

/// <summary>One thing that is measured on both sides; it may give several rows.</summary>
internal abstract class Case
{
    /// <summary>The rows it gives.</summary>
    public abstract IReadOnlyList<string> Names { get; }

    public abstract void Run(Place place, Report report);
}
