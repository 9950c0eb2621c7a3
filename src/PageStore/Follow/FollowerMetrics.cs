using System.Diagnostics.Metrics;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// A follower's state as instruments, under the meter <see cref="MeterName"/>. Read only when somebody listens.
/// </summary>
internal sealed class FollowerMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "RecoveryVfs.Follower";

    readonly Meter meter;

    /// <summary>Publishes a state; the tag <c>store</c> tells several followers of a process apart.</summary>
    public FollowerMetrics(Func<FollowerState> state, string directory)
    {
        KeyValuePair<string, object?>[] tags = [new("store", directory)];
        meter = new Meter(MeterName, null, tags);
        meter.CreateObservableGauge("recovery.follower.lag", () => state().Lag.TotalSeconds, "s",
            "For how long at most commits were made that are not seen here yet");
        meter.CreateObservableGauge("recovery.follower.lag.records", () => state().LagRecords, "{record}",
            "Records known to be in the remote and not applied here yet");
        meter.CreateObservableGauge("recovery.follower.lsn", () => (long)state().Lsn, null, "Newest LSN applied");
        meter.CreateObservableGauge("recovery.follower.following",
            () => state().Phase == FollowerPhase.Following ? 1 : 0, null,
            "1 while it was at the end of the log when it last looked");
        meter.CreateObservableCounter("recovery.follower.groups", () => state().Groups, "{group}",
            "Record groups applied");
        meter.CreateObservableCounter("recovery.follower.started_over", () => (long)state().StartedOver, null,
            "Times that it began anew from hints");
    }

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();
}
