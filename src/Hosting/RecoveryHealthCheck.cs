using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Follow;

namespace RecoveryVfs.Hosting;

/// <summary>
/// Healthy only while the commits of every store can be restored, and every follower and replicator of the host goes
/// on. The data has, for each, its state, its lag, and the age of the last proof that its remote can be restored.
/// </summary>
internal sealed class RecoveryHealthCheck(RecoveryHealthOptions options, IEnumerable<FollowerService> followers,
    IEnumerable<ReplicatorService> replicators) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context,
        CancellationToken cancellationToken = default)
    {
        var all = await LookAsync(cancellationToken);
        var data = new Dictionary<string, object>();
        foreach (var each in all) Describe(each, data);
        var problems = all.Select(each => (each.Name, Problem: each.Problem ?? TooMuch(each)))
            .Where(each => each.Problem is not null).ToList();
        return problems.Count == 0
            ? HealthCheckResult.Healthy(all.Count
            == 0 ? "No store is open." : $"{all.Count} of {all.Count} can be restored.", data)
            : new HealthCheckResult(context.Registration.FailureStatus,
                string.Join(" ", problems.Select(p => $"{p.Name}: {p.Problem!.TrimEnd('.')}.")), null, data);
    }

    /// <summary>An open store is looked at in memory: a check costs no request then.</summary>
    async Task<List<StoreHealth>> LookAsync(CancellationToken cancellation)
    {
        var all = new List<StoreHealth>();
        foreach (var store in StoreRegistry.AcquireOpen())
        {
            all.Add(StoreHealth.Of(store));
            StoreRegistry.Release(store);
        }
        if (options.Stores.Count > 0)
        {
            var open = all.ToDictionary(each => each.Name);
            all = [];
            foreach (var store in options.Stores)
                all.Add(StoreHealth.DirectoryOf(store) is { } directory && open.TryGetValue(directory, out var known)
                    ? known
                    : await StoreHealth.AtAsync(store, cancellation));
        }
        all.AddRange(followers.Select(OfFollower));
        all.AddRange(replicators.Select(r => r.Health));
        return all;
    }

    static StoreHealth OfFollower(FollowerService follower)
    {
        var state = follower.State;
        var goesOn = state.Phase is FollowerPhase.Following or FollowerPhase.CatchingUp or FollowerPhase.Still;
        return new(follower.Directory, goesOn ? null : state.LastError?.Message
            ?? $"{follower.Url} is not followed: {state.Phase}",
            state.Phase.ToString().ToLowerInvariant(), state.Lsn, state.LagRecords, state.Lag);
    }

    string? TooMuch(StoreHealth each)
    {
        if (each.Lag > options.MaxLag)
            return string.Create(CultureInfo.InvariantCulture,
                $"it lags {each.Lag.TotalSeconds:0} s behind, and {options.MaxLag.Value.TotalSeconds:0} s are allowed");
        if (options.MaxProofAge is not { } most || each.ProofAge <= most) return null;
        return each.ProofAge is { } age
            ? $"its remote was last proved restorable {age} ago, and {most} is allowed"
            : "its remote was never proved restorable (see verify-interval)";
    }

    static void Describe(StoreHealth each, Dictionary<string, object> data)
    {
        data[each.Name + " state"] = each.State;
        data[each.Name + " lsn"] = each.Lsn;
        data[each.Name + " lag_records"] = each.LagRecords;
        data[each.Name + " lag_seconds"] = each.Lag.TotalSeconds;
        if (each.ProofAge is { } age) data[each.Name + " proof_age_seconds"] = age.TotalSeconds;
    }
}
