namespace RecoveryVfs.Hosting;

/// <summary>What a health check looks at, and how much is too much.</summary>
public sealed record RecoveryHealthOptions
{
    /// <summary>
    /// The stores that are looked at, whether this process has them open or not: each by its directory or one of its
    /// databases. Empty means those that are open.
    /// </summary>
    public IReadOnlyList<string> Stores { get; init; } = [];

    /// <summary>
    /// Commits that wait for the remote longer than this are trouble; null lets them wait while shipping goes on.
    /// </summary>
    public TimeSpan? MaxLag { get; init; }

    /// <summary>
    /// A proof of the remote that is older than this, or none, is trouble; null asks for none (see
    /// <c>verify-interval</c>).
    /// </summary>
    public TimeSpan? MaxProofAge { get; init; }
}
