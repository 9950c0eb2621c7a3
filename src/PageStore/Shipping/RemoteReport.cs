using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>What <c>PRAGMA recovery_status</c> says of a remote.</summary>
internal sealed class RemoteReport(RemoteState state, string url, TimeProvider time)
{
    /// <summary>Names and values.</summary>
    public IEnumerable<(string Name, object Value)> Rows()
    {
        yield return ("remote", url);
        yield return ("remote_state", state.Phase.ToString().ToLowerInvariant());
        yield return ("remote_healthy", state.IsHealthy ? "yes" : "no");
        if (state.LastError is { } error) yield return ("remote_error", error.Message);
        if (state.HintsError is { } hintsError) yield return ("remote_hints_error", hintsError);
        if (state.OutageSince is { } since) yield return ("remote_outage_seconds", Age(since));
        if (state.LetGoLsn is { } letGo) yield return ("remote_let_go_lsn", letGo);
        yield return ("remote_lsn", state.ShippedLsn);
        yield return ("remote_lag_records", state.LagRecords);
        yield return ("remote_lag_bytes", state.LagBytes);
        yield return ("remote_lag_ms", (long)state.Lag.TotalMilliseconds);
        yield return ("remote_hints_lsn", state.Hints?.Lsn ?? 0);
        if (state.Hints is { } hints) yield return ("remote_hints_seconds_ago", Age(hints.At));
        if (state.LastHintsCost is { } cost)
        {
            yield return ("remote_hints_kind", cost.IsFull ? "full" : "incremental");
            yield return ("remote_hints_ms", (long)cost.Took.TotalMilliseconds);
            yield return ("remote_hints_bytes", cost.Bytes);
        }
        yield return ("remote_bytes_since_hints", state.BytesSinceHints);
        foreach (var row in Verified()) yield return row;
        var counters = state.Counters;
        foreach (var kind in Enum.GetValues<RequestKind>())
            yield return ($"remote_requests_{Lower(kind)}", counters.Requests(kind));
        yield return ("remote_requests_failed", counters.Failures);
        foreach (var objects in Enum.GetValues<ObjectClass>())
            if (counters.BytesSent(objects) is var sent and > 0)
                yield return ($"remote_bytes_sent_{Lower(objects)}", sent);
        if (state.SalvageNote is { } salvage) yield return ("remote_salvage", salvage);
    }

    IEnumerable<(string Name, object Value)> Verified()
    {
        if (state.Verification is not { } verification)
        {
            yield return ("remote_verified", "never");
            yield break;
        }
        yield return ("remote_verified", verification.Result);
        if (verification.ProvedAt is { } at)
        {
            yield return ("remote_verified_lsn", verification.ProvedLsn);
            yield return ("remote_verified_seconds_ago", Age(at));
        }
        if (verification.Problem is { } problem) yield return ("remote_verify_error", problem);
    }

    long Age(DateTimeOffset at) => (long)(time.GetUtcNow() - at).TotalSeconds;

    static string Lower<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();
}
