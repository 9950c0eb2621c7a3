using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore.Lazy;

/// <summary>Where the missing bytes of a directory come from.</summary>
/// <param name="Open">Opens the remote; its object store is then who opened it's.</param>
/// <param name="IsOwner">Whether this process has the directory's lock, and says when all of it is here.</param>
/// <param name="BudgetBytes">What may be here of files that are not whole; what was not used for long goes.</param>
internal sealed record LazySource(Func<RemoteContext> Open, bool IsOwner, long BudgetBytes = long.MaxValue)
{
    /// <summary>
    /// Keeps what is fetched from being collected until all of it is here; null when somebody else does.
    /// </summary>
    public FetchPin? Pin { get; init; }
}
