using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>Restores as .NET asks for them: by URL, place and options.</summary>
internal static class Restores
{
    /// <summary>Restores a store, and gives each of its databases a file beside it.</summary>
    public static async Task<RestoredState> ToStoreAsync(
        string remote, string directory, RestoreOptions options, IProgress<RecoveryProgress>? progress,
            CancellationToken cancellation)
    {
        var store = StoreDirectory.Within(directory);
        Restoring.CheckPlace(store);
        await using var source = RemoteAccess.Open(remote);
        var (plan, notes) = await PlanAsync(source, options, progress, cancellation);
        plan.Store.ThrowUnlessDatabases(plan.Location);
        Restoring.CheckStubs(directory, plan);
        await using var pin = await source.PinAsync(plan, notes.Add, cancellation);
        var restoring = new Restoring(plan, options.Parallelism, ReportedStep.To(progress), notes.Add);
        var result = await restoring.ToStoreAsync(directory, options.Verify, cancellation);
        return new RestoredState(source.Url, store, result.Lsn, TimeText.FromMs(result.UnixTimeMs),
            plan.Hints.Header.Lsn,
            result.Databases, result.FetchedBytes, notes);
    }

    /// <summary>Restores one database as a plain file.</summary>
    public static async Task<RestoredState> ToFileAsync(
        string remote, string file, RestoreOptions options, IProgress<RecoveryProgress>? progress,
            CancellationToken cancellation)
    {
        DeliveredFile.CheckPlace(file, force: false);
        await using var source = RemoteAccess.Open(remote);
        var (plan, notes) = await PlanAsync(source, options, progress, cancellation);
        await using var pin = await source.PinAsync(plan, notes.Add, cancellation);
        var restoring = new Restoring(plan, options.Parallelism, ReportedStep.To(progress), notes.Add);
        var (result, name) =
            await restoring.ToFileAsync(file, options.Database, force: false, check: null, cancellation);
        return new RestoredState(source.Url, file, result.Lsn, TimeText.FromMs(result.UnixTimeMs),
            plan.Hints.Header.Lsn,
            [name], result.FetchedBytes, notes);
    }

    static async Task<(RestorePlan Plan, List<string> Notes)> PlanAsync(
        RemoteAccess source, RestoreOptions options, IProgress<RecoveryProgress>? progress,
            CancellationToken cancellation)
    {
        if (options is { Lsn: not null, Time: not null })
            throw new RecoveryException(RecoveryError.Invalid, "An LSN and a time each name a state.",
                "Give one of them.");
        if (options.Parallelism is < 1 or > 256)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{nameof(RestoreOptions.Parallelism)} is from 1 to 256.");
        var target = options.Lsn is { } lsn ? RestoreTarget.At(lsn)
            : options.Time is { } time ? RestoreTarget.At(time)
            : RestoreTarget.Newest;
        var notes = new List<string>();
        if (options.FromLocal is { } left)
            await LeftDirectory.JoinAsync(left, source, ship: true, ReportedStep.To(progress), notes.Add, cancellation);
        var plan = await RestorePlanner.PlanAsync(source.Context, target, options.HintsLsn, cancellation);
        return (plan, [.. notes, .. plan.Notes]);
    }
}
