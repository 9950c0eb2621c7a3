using System.Diagnostics.Metrics;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.State;

/// <summary>
/// A <see cref="RemoteState"/> as System.Diagnostics.Metrics instruments, under the meter <see cref="MeterName"/>,
/// which any OpenTelemetry or
/// <c>dotnet-counters</c> listener takes. Read only when somebody listens.
/// </summary>
internal sealed class RemoteMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "RecoveryVfs.Remote";

    readonly Meter meter;

    /// <summary>
    /// Publishes a state; <paramref name="store"/> tells several stores of a process apart (tag <c>store</c>).
    /// </summary>
    public RemoteMetrics(RemoteState state, string store, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        KeyValuePair<string, object?>[] tags = [new("store", store)];
        meter = new Meter(MeterName, null, tags);
        meter.CreateObservableGauge("recovery.remote.lag.records", () => (long)state.LagRecords, "{record}",
            "Records that only this machine has");
        meter.CreateObservableGauge("recovery.remote.lag.bytes", () => state.LagBytes, "By",
            "Bytes of log that only this machine has");
        meter.CreateObservableGauge("recovery.remote.lag", () => state.Lag.TotalSeconds, "s",
            "Age of the oldest record that only this machine has");
        meter.CreateObservableGauge("recovery.remote.shipped.lsn", () => (long)state.ShippedLsn, null,
            "Newest LSN in the remote");
        meter.CreateObservableGauge("recovery.remote.healthy", () => state.IsHealthy ? 1 : 0, null,
            "1 while commits are shipped and can be restored");
        meter.CreateObservableGauge("recovery.remote.fenced", () => state.Phase == ShipperPhase.Fenced ? 1 : 0, null,
            "1 when another writer owns the log");
        meter.CreateObservableGauge("recovery.remote.outage", () => state.Phase == ShipperPhase.Outage ? 1 : 0, null,
            "1 while the remote cannot be reached");
        meter.CreateObservableGauge("recovery.remote.damaged", () => state.Verification?.IsDamage is true ? 1 : 0, null,
            "1 when the newest verification found the remote damaged");
        meter.CreateObservableGauge("recovery.remote.verification.age", () => Age(state, time), "s",
            "How long ago the remote was last proved restorable");
        meter.CreateObservableGauge("recovery.remote.hints.age",
            () => Some(state.Hints is { } hints ? (time.GetUtcNow() - hints.At).TotalSeconds : null), "s",
            "How long ago hints were published");
        meter.CreateObservableGauge("recovery.remote.hints.duration",
            () => Some(state.LastHintsCost?.Took.TotalSeconds), "s", "How long the newest hints took");
        meter.CreateObservableGauge("recovery.remote.hints.size", () => Some(state.LastHintsCost?.Bytes), "By",
            "Bytes sent for the newest hints");
        meter.CreateObservableCounter("recovery.remote.requests", () => Requests(state.Counters), "{request}",
            "Requests, by kind and class of objects");
        meter.CreateObservableCounter("recovery.remote.sent", () => Bytes(state.Counters.BytesSent), "By",
            "Bytes sent, by class of objects");
        meter.CreateObservableCounter("recovery.remote.received", () => Bytes(state.Counters.BytesReceived), "By",
            "Bytes received, by class of objects");
        meter.CreateObservableCounter("recovery.remote.failures", () => state.Counters.Failures, "{request}",
            "Requests that failed");
    }

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();

    static IEnumerable<Measurement<double>> Some(double? value) => value is { } known ? [new(known)] : [];

    /// <summary>Nothing when it was never proved.</summary>
    static IEnumerable<Measurement<double>> Age(RemoteState state, TimeProvider time)
    {
        if (state.Verification?.ProvedAt is { } at) yield return new((time.GetUtcNow() - at).TotalSeconds);
    }

    static IEnumerable<Measurement<long>> Requests(RequestCounters counters)
    {
        foreach (var kind in Enum.GetValues<RequestKind>())
            foreach (var objects in Enum.GetValues<ObjectClass>())
                if (counters.Requests(kind, objects) is var count and > 0)
                    yield return new(count, new("kind", kind.ToString().ToLowerInvariant()),
                        new("objects", objects.ToString().ToLowerInvariant()));
    }

    static IEnumerable<Measurement<long>> Bytes(Func<ObjectClass, long> of)
    {
        foreach (var objects in Enum.GetValues<ObjectClass>())
            yield return new(of(objects), new KeyValuePair<string,
                object?>("objects", objects.ToString().ToLowerInvariant()));
    }
}
