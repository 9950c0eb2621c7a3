using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>A plain file that is made of a remote without a store on the way.</summary>
internal static class RestoredFile
{
    /// <summary>Carries out a plan, showing progress; says why when that takes a store.</summary>
    public static async Task<(RestoreResult? Result, string? Why)> TryAsync(
        RestorePlan plan, Staging staging, string? database, int parallelism, StepBegun begin,
            CancellationToken cancellation)
    {
        using var progress = begin("restoring", plan.FetchBytes);
        var tried = await PlainRestore.TryAsync(plan, database, staging.Path(DeliveredFile.Made), staging.Path("wals"),
            parallelism, progress.Add, cancellation);
        if (tried.Result is null) File.Delete(staging.Path(DeliveredFile.Made));
        return tried;
    }
}
