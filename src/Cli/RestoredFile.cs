using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli;

/// <summary>A plain file that is made of a remote without a store on the way.</summary>
internal static class RestoredFile
{
    /// <summary>Carries out a plan, showing progress; says why when that takes a store.</summary>
    public static async Task<(RestoreResult? Result, string? Why)> TryAsync(RestorePlan plan, Staging staging, string? database, int parallelism, CancellationToken cancellation)
    {
        using var progress = new Progress("restoring", plan.FetchBytes);
        var tried = await PlainRestore.TryAsync(plan, database, staging.Path(PlainFile.Made), staging.Path("wals"), parallelism, progress.Add, cancellation);
        if (tried.Result is null) File.Delete(staging.Path(PlainFile.Made));
        return tried;
    }
}
