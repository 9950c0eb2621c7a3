using System.Globalization;
using System.Text;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.RecoveryLog.Watch;

namespace RecoveryVfs.Tail;

/// <summary>What --listen says of a follower.</summary>
static class FollowerHealth
{
    public static Health Of(FollowerState state) =>
        new(state.Phase != FollowerPhase.Failed, state.Phase == FollowerPhase.Following, Word(state),
            () => Metrics(state));

    static string Word(FollowerState state)
        => $"{state.Phase.ToString().ToLowerInvariant()}{(state.LastError is { } e ? ": " + e.Message : "")}";

    static string Metrics(FollowerState state)
    {
        var text = new StringBuilder();
        void Metric(string name, string kind, string help, double value) => text.Append(CultureInfo.InvariantCulture,
            $"# HELP recovery_follower_{name} {help}\n# TYPE recovery_follower_{name} "
                + $"{kind}\nrecovery_follower_{name} {value}\n");
        Metric("lsn", "gauge", "The last LSN applied.", state.Lsn);
        Metric("groups_total", "counter", "Record groups applied.", state.Groups);
        Metric("lag_seconds", "gauge", "How far what readers see lies behind.", state.Lag.TotalSeconds);
        Metric("lag_records", "gauge", "Records known to be in the remote and not applied.", state.LagRecords);
        Metric("lag_bytes", "gauge", "Bytes known to be in the remote and not applied.", state.LagBytes);
        Metric("caught_up", "gauge", "1 when it was at the end of the log when it last looked.",
            state.Phase == FollowerPhase.Following ? 1 : 0);
        Metric("started_over_total", "counter", "How often it started over from hints.", state.StartedOver);
        Metric("failed", "gauge", "1 when it gave up.", state.Phase == FollowerPhase.Failed ? 1 : 0);
        return text.ToString();
    }
}
