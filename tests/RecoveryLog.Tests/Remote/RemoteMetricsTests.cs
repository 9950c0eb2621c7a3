using System.Diagnostics.Metrics;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

public sealed class RemoteMetricsTests
{
    [Fact]
    public void What_operators_watch_is_published_and_never_healthy_while_nothing_is_shipped()
    {
        var loop = new SimulationLoop();
        loop.Run(async () =>
        {
            var store = new SimulatedObjectStore(new SimulatedBucket(loop.Time), new Random(1));
            var machine = new ToyMachine(new PowerLossDisk(), store, loop.Time, new Random(1), 7, run => run())
                .Open(mayCreate: true);
            using var metrics = new RemoteMetrics(machine.Shipper.State, "toy", loop.Time);
            Assert.Equal(0, Read("recovery.remote.healthy"));
            await machine.Shipper.WaitShippedAsync(machine.Commit());
            // Shipped, but without hints nothing can be restored.
            Assert.Equal(0, Read("recovery.remote.healthy"));
            await machine.PublishAsync();
            Assert.Equal(1, Read("recovery.remote.healthy"));
            Assert.True(Read("recovery.remote.hints.size") > 0);
            Assert.Equal(0, Read("recovery.remote.lag.records"));
            store.IsDown = true;
            machine.Commit();
            machine.Commit();
            await Task.Delay(TimeSpan.FromMinutes(10), loop.Time);
            Assert.Equal((0, 1, 2),
                (Read("recovery.remote.healthy"), Read("recovery.remote.outage"), Read("recovery.remote.lag.records")));
            Assert.InRange(Read("recovery.remote.lag"), 590, 610);
            Assert.InRange(Read("recovery.remote.hints.age"), 590, 610);
            Assert.True(Read("recovery.remote.requests") > 10);
            Assert.True(Read("recovery.remote.failures") > 5);
            store.IsDown = false;
            await machine.Shipper.WhenShippedAsync(3);
            Assert.Equal((1, 3), (Read("recovery.remote.healthy"), Read("recovery.remote.shipped.lsn")));
            await machine.CloseAsync();
            Assert.Equal(0, Read("recovery.remote.healthy"));
        });
    }

    static double Read(string name)
    {
        double sum = 0;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter.Name == RemoteMetrics.MeterName && instrument.Name == name
                && instrument.Meter.Tags!.Any(t => (string?)t.Value == "toy"))
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => sum += value);
        listener.SetMeasurementEventCallback<int>((_, value, _, _) => sum += value);
        listener.SetMeasurementEventCallback<double>((_, value, _, _) => sum += value);
        listener.Start();
        listener.RecordObservableInstruments();
        return sum;
    }
}
