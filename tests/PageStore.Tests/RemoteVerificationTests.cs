using System.Diagnostics.Metrics;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// What a store says of its remote: that it can be restored, and what is wrong when it cannot. On a directory and on a
/// real S3 server.
/// </summary>
public abstract class RemoteVerificationTests(IRemotePlaces places) : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-verify-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    StoreOptions Options(RemoteOptions remote, string name = "store") => new()
    {
        Directory = Path.Combine(root, name),
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = remote,
    };

    static void Write(Store store, int commits, int seed = 1)
    {
        var (random, model) = (new Random(seed), new SortedDictionary<string, byte[]>(StringComparer.Ordinal));
        foreach (var database in store.Databases)
        {
            var bytes = new byte[database.Current.SizeBytes];
            database.Read(database.Current, 0, bytes);
            model[database.Name] = bytes;
        }
        for (var i = 0; i < commits; i++) StoreTests.Transaction(random, store, model);
    }

    static string Row(Store store, string name) => store.Status().FirstOrDefault(r => r.Key == name).Value;

    [Theory]
    [InlineData("extents/", "page")]
    [InlineData("log/", "segment")]
    [InlineData("hints/", "hints")]
    public async Task A_damaged_object_is_found_named_and_told(string prefix, string what)
    {
        var place = await places.NewAsync();
        var alarms = new List<RecoveryException>();
        using var store = Store.Open(Options(place.Options) with { Alarm = e => { lock (alarms) alarms.Add(e); } });
        Write(store, 40);
        await store.Remote!.PublishHintsAsync();
        Write(store, 40, seed: 2);
        var proof = await store.Remote.VerifyAsync();
        Assert.Null(proof.Problem);
        Assert.True(store.Remote.State.IsHealthy);
        Assert.Equal(("ok", "yes"), (Row(store, "remote_verified"), Row(store, "remote_healthy")));
        Assert.Equal(1, Metric(store, "recovery.remote.healthy"));
        Assert.InRange(Metric(store, "recovery.remote.verification.age"), 0, 60);
        Assert.False(Directory.Exists(Path.Combine(store.Directory, "verifying")));

        // The one that a restore needs: hints newest first, the log's newest.
        var names = await place.NamesAsync(prefix);
        var damaged = prefix == "log/" ? names[^1] : names[0];
        await place.DamageAsync(damaged);
        var found = await store.Remote.VerifyAsync();
        Assert.True(found.IsDamage, $"damaged {what}: {found.Problem}");
        Assert.Contains(damaged, found.Problem);
        Assert.Equal((proof.ProvedAt, proof.ProvedLsn), (found.ProvedAt, found.ProvedLsn));
        Assert.False(store.Remote.State.IsHealthy);
        Assert.Equal(("damaged", "no"), (Row(store, "remote_verified"), Row(store, "remote_healthy")));
        Assert.Contains(damaged, Row(store, "remote_verify_error"));
        Assert.Equal((0, 1), (Metric(store, "recovery.remote.healthy"), Metric(store, "recovery.remote.damaged")));
        Assert.Contains(alarms, a => a.Message.Contains(damaged));
        // Whoever looks at the directory from outside sees it, too.
        Assert.Equal(found, RemoteVerification.Load(store.Directory));
    }

    [Fact]
    public async Task It_goes_on_by_itself_while_the_store_is_written_to_and_is_remembered()
    {
        var place = await places.NewAsync();
        var options = Options(place.Options with { VerifyInterval = TimeSpan.FromMilliseconds(1) });
        DateTimeOffset provedAt;
        using (var store = Store.Open(options))
        {
            Write(store, 20);
            for (var seed = 2; seed < 12; seed++)
            {
                Write(store, 3, seed);
                var lsn = store.Lsn.Last;
                await Until.IsTrue(() => store.Remote!.State.Verification is { } v
                    && (v.ProvedLsn >= lsn || v.Problem is not null),
                    () => $"never verified: {Row(store, "remote_error")}");
                Assert.Null(store.Remote!.State.Verification!.Problem);
            }
            provedAt = store.Remote!.State.Verification!.ProvedAt!.Value;
        }
        using (var again = Store.Open(Options(place.Options)))
            Assert.True(again.Remote!.State.Verification!.ProvedAt >= provedAt);
    }

    [Fact]
    public async Task A_remote_that_is_away_is_not_called_damaged()
    {
        var place = await places.NewAsync();
        using var store = Store.Open(Options(place.Options));
        Write(store, 5);
        store.SyncRemote();
        await using var cut = new CutOffStore(place.Open(), () => true);
        var check = new RestorabilityCheck(store, store.Catalog, store.Home,
            new RemoteContext { Store = cut, Tries = 1 }, store.Remote!.Shipper);
        var e = await Assert.ThrowsAsync<RecoveryException>(() => check.RunAsync(default));
        Assert.Equal(RecoveryError.Remote, e.Error);
    }

    [Fact]
    public async Task What_was_waited_for_can_be_restored_at_once()
    {
        var place = await places.NewAsync();
        using var store = Store.Open(Options(place.Options));
        Write(store, 1);
        store.WaitRestorable(store.Lsn.Last);
        var result = await place.RestoreAsync(new StoreOptions { Directory = Path.Combine(root, "restored") });
        Assert.Equal(store.Databases.Select(d => d.Name), result.Databases);
    }

    [Fact]
    public async Task Opening_again_publishes_no_hints_until_it_is_time()
    {
        var place = await places.NewAsync();
        for (var i = 0; i < 3; i++)
        {
            using var store = Store.Open(Options(place.Options));
            Write(store, 3, seed: i);
            store.SyncRemote();
        }
        Assert.Single(await place.NamesAsync("hints/"));
        // Short lives add up: what was shipped since the hints is counted over them.
        for (var i = 0; i < 6; i++)
        {
            using var store = Store.Open(Options(place.Options with { HintsBytes = 4096 }));
            Write(store, 3, seed: i);
            store.SyncRemote();
            await Until.IsTrue(() => store.Remote!.State.BytesSinceHints < 8192
                && store.Remote.State.HintsError is null, () => Row(store, "remote_bytes_since_hints"));
        }
        Assert.InRange((await place.NamesAsync("hints/")).Count, 2, 7);
    }

    static double Metric(Store store, string name)
    {
        double sum = 0;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter.Name == RemoteMetrics.MeterName && instrument.Name == name
                && instrument.Meter.Tags!.Any(t => (string?)t.Value == store.Directory))
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

public sealed class DirectoryVerificationTests(DirectoryPlaces places) : RemoteVerificationTests(places),
    IClassFixture<DirectoryPlaces>;

[Collection(S3Collection.Name)]
public sealed class S3VerificationTests(S3Server server) : RemoteVerificationTests(new BucketPlaces(server));
