using System.Globalization;
using RecoveryVfs.PageStore;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>The PRAGMAs of a followed database.</summary>
internal static class FollowedPragmas
{
    // As long as a statement may block on it: a busy timeout is not ours to see.
    static readonly TimeSpan WaitPatience = TimeSpan.FromSeconds(30);

    /// <summary>The answer to a pragma; null when it is none of ours.</summary>
    public static string? Answer(FollowedFile file, string pragma, string? value)
    {
        if (file.Source is StoreView view) return ViewPragmas.Answer(file, view, pragma, value);
        var follower = (Follower)file.Source;
        switch (pragma)
        {
            case "recovery_lag":
                // In milliseconds: how old what readers see is; 0 when it was all there was at the last look.
                return ((long)follower.State.Lag.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
            case "recovery_wait_lsn":
                return Wait(follower, value);
            case "recovery_lsn":
                return follower.State.Lsn.ToString(CultureInfo.InvariantCulture);
            case "recovery_status":
                return string.Join('\n', Status(file, follower).Select(v => $"{v.Name}: {v.Value}"));
            case "recovery_verify":
                using (var reader = follower.Read())
                {
                    var problems = reader.Verify(value == "all" ? null : file.Open.Name);
                    return problems.Count == 0 ? "ok" : string.Join('\n', problems);
                }
            case "recovery_databases":
                using (var reader = follower.Read()) return string.Join('\n', reader.Databases);
            case "recovery_store":
                return follower.Directory;
            case "recovery_database":
                return file.Open.Name;
            case "recovery_last_error":
                return Failures.Last;
            default:
                return null;
        }
    }

    static string Wait(Follower follower, string? value)
    {
        if (!ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn))
            throw new RecoveryException(RecoveryError.Invalid, "recovery_wait_lsn wants an LSN: PRAGMA recovery_wait_lsn=N, with N from the writer's PRAGMA recovery_lsn.");
        try
        {
            using var patience = new CancellationTokenSource(WaitPatience);
            Task.Run(() => follower.WaitForAsync(lsn, patience.Token)).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            throw new RecoveryException(RecoveryError.Busy,
                $"The follower {follower.Directory} stands at LSN {follower.State.Lsn} and did not reach {lsn} in {WaitPatience.TotalSeconds:0} s. See PRAGMA recovery_status.");
        }
        return follower.State.Lsn.ToString(CultureInfo.InvariantCulture);
    }

    static IEnumerable<(string Name, object? Value)> Status(FollowedFile file, Follower follower)
    {
        var state = follower.State;
        yield return ("store", follower.Directory);
        yield return ("database", file.Open.Name);
        yield return ("state", "follower");
        yield return ("follows", follower.Url);
        yield return ("follower_state", state.Phase.ToString().ToLowerInvariant());
        yield return ("lsn", state.Lsn);
        yield return ("lag_ms", (long)state.Lag.TotalMilliseconds);
        yield return ("lag_records", state.LagRecords);
        yield return ("lag_bytes", state.LagBytes);
        yield return ("started_over", state.StartedOver);
        if (state.LastError is { } error) yield return ("follower_error", error.Message);
        if (state.PinError is { } pin) yield return ("pin_error", pin);
    }
}
