using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.Hosting;

/// <summary>How one store or follower is, as a health check tells it.</summary>
/// <param name="Name">Its directory.</param>
/// <param name="Problem">Why its commits cannot be restored, or not be read; null while they can.</param>
/// <param name="State">In a word.</param>
/// <param name="Lsn">The newest LSN.</param>
/// <param name="LagRecords">Records that are only here, or not here yet.</param>
/// <param name="Lag">For how long.</param>
/// <param name="ProofAge">How long ago the remote was last proved restorable; null for never.</param>
internal sealed record StoreHealth(
    string Name, string? Problem, string State, ulong Lsn, long LagRecords, TimeSpan Lag, TimeSpan? ProofAge = null)
{
    /// <summary>Of a store that this process has open: from memory, without a request.</summary>
    public static StoreHealth Of(OpenStore open)
    {
        var (store, now) = (open.Store, open.Options.Time.GetUtcNow());
        if (store.Remote is not { } remote)
            return new(open.Directory, "it has no remote, so no commit of it can be restored", StoreState.NoRemote,
                store.Lsn.Last, 0, default);
        var state = remote.State;
        return new(open.Directory, ProblemOf(remote), state.Phase.ToString().ToLowerInvariant(), store.Lsn.Last,
            (long)state.LagRecords, state.Lag, now - state.Verification?.ProvedAt);
    }

    static string? ProblemOf(StoreRemote remote)
    {
        var state = remote.State;
        if (state.IsHealthy) return null;
        if (state.LastError is { } error) return error.Message;
        if (state.HintsError is { } hints) return hints;
        if (state.Verification is { IsDamage: true } verification) return verification.Problem;
        return state.Phase == ShipperPhase.Shipping
            ? $"{remote.Url} has no hints yet, so nothing can be restored from it"
            : $"{remote.Url} is not reached yet";
    }

    /// <summary>The store that is meant; null when there is none.</summary>
    public static string? DirectoryOf(string target)
    {
        try
        {
            return StoreDirectory.Find(target).Path;
        }
        catch (RecoveryException)
        {
            return null;
        }
    }

    /// <summary>Of a store that this process does not have open: from its directory and its remote.</summary>
    public static async Task<StoreHealth> AtAsync(string directory, CancellationToken cancellation)
    {
        try
        {
            var status = await Recovery.StatusAsync(directory, cancellation);
            var problem = status.State is StoreState.Ok or StoreState.Shipping ? null
                : status.RemoteError ?? status.Advice ?? $"its state is {status.State}";
            var proof = status.Verification?.ProvedAgeSeconds;
            return new(status.Store, problem, status.State, status.Lsn, (long)(status.LagRecords ?? 0),
                TimeSpan.FromSeconds(status.LagSeconds ?? 0), proof is { } age ? TimeSpan.FromSeconds(age) : null);
        }
        catch (RecoveryException e)
        {
            return new(directory, e.Message, e.Error.ToString().ToLowerInvariant(), 0, 0, default);
        }
    }
}
