using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The remote is away for long: the local log is the queue, has a bound, and what happens at it was chosen.
/// </summary>
public abstract class RemoteOutageTests(IRemotePlaces places) : IDisposable
{
    const int PageBytes = 4096, PagesPerCommit = 256;
    const long Bound = 80 << 20;

    readonly string root = Directory.CreateTempSubdirectory("recovery-outage-").FullName;
    readonly Random random = new(3);

    public void Dispose() => Directory.Delete(root, recursive: true);

    StoreOptions Options(RemoteOptions remote) => new()
    {
        Directory = Path.Combine(root, "store"),
        PageCacheBytes = 4 << 20,
        PendingBytes = 4 << 20,
        LogBytesBetweenFlushes = 8 << 20,
        MaxLocalLogBytes = Bound,
        Remote = remote,
    };

    /// <summary>About a megabyte of new bytes.</summary>
    ulong Commit(Store store)
    {
        var database = store.Create("a.db");
        using var overlay = store.BeginOverlay(database, database.Current);
        var page = new byte[PageBytes];
        for (var i = 0; i < PagesPerCommit; i++)
        {
            random.NextBytes(page);
            overlay.Write(random.Next(2 * PagesPerCommit) * (long)PageBytes, page);
        }
        return store.Commit([overlay], durable: true);
    }

    static ulong ChecksumOf(Store store) => store.Find("a.db")!.Current.Checksum;

    async Task MustRestoreAs(RemotePlace place, Store store)
    {
        var directory = Path.Combine(root, "restored-" + Guid.NewGuid().ToString("N"));
        await place.RestoreAsync(new StoreOptions { Directory = directory });
        using var restored = Store.Open(new StoreOptions { Directory = directory });
        Assert.Equal(ChecksumOf(store), ChecksumOf(restored));
        Assert.Empty(restored.Verify(null, default));
    }

    [Fact]
    public async Task At_the_bound_commits_fail_until_the_remote_is_back_and_nothing_is_lost()
    {
        var place = await places.NewAsync();
        using var store = Store.Open(Options(place.Options));
        Commit(store);
        store.SyncRemote();
        place.IsAway = true;
        var error = Assert.Throws<RecoveryException>(() =>
        {
            for (var i = 0; i < 200; i++) Commit(store);
        });
        Assert.Equal(RecoveryError.Full, error.Error);
        Assert.Contains("max-local-log", error.Message);
        Assert.Contains("shipper", error.Message);
        // One failed request is no outage yet; the next says so.
        await Until.IsTrue(() => !store.Remote!.State.IsHealthy);
        var acknowledged = ChecksumOf(store);
        place.IsAway = false;
        await Until.IsTrue(() => store.Remote!.State.LagRecords == 0);
        Assert.Equal(acknowledged, ChecksumOf(store));
        // By itself.
        CommitWhenThereIsRoom(store);
        store.SyncRemote();
        await MustRestoreAs(place, store);
    }

    [Fact]
    public async Task Where_it_may_restart_commits_go_on_and_what_waited_can_be_restored_when_it_returns()
    {
        var place = await places.NewAsync();
        var options = Options(place.Options with { MayRestart = true });
        using (var store = Store.Open(options))
        {
            Commit(store);
            store.SyncRemote();
            place.IsAway = true;
            var during = Commit(store);
            var waiting = Task.Run(() => store.WaitRestorable(during));
            for (var i = 0; i < 200 && store.Log.SizeBytes < Bound / 4 * 3; i++) Commit(store);
            await Until.IsTrue(() => store.Remote!.State.LetGoLsn is not null,
                () => $"The log has {store.Log.SizeBytes} bytes.");
            // More than the bound could hold.
            for (var i = 0; i < 150; i++) CommitWhenThereIsRoom(store);
            Assert.False(waiting.IsCompleted);
            Assert.False(store.Remote!.State.IsHealthy);
            place.IsAway = false;
            await waiting;
            // It returned, so it is there, although its record never was shipped.
            await MustRestoreAtLeast(place, during);
            Commit(store);
            store.SyncRemote();
            Assert.True(store.Remote.State.IsHealthy, store.Remote.State.HintsError);
            Assert.Null(store.Remote.State.LetGoLsn);
            await MustRestoreAs(place, store);
        }
        using (var again = Store.Open(options))
        {
            Commit(again);
            again.SyncRemote();
            await MustRestoreAs(place, again);
        }
    }

    /// <summary>The checkpoint that drops the log may be a moment behind.</summary>
    void CommitWhenThereIsRoom(Store store)
    {
        RecoveryException? full = null;
        Assert.True(SpinWait.SpinUntil(() =>
        {
            try
            {
                Commit(store);
                return true;
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Full)
            {
                full = e;
                return false;
            }
        }, TimeSpan.FromSeconds(60)), full?.Message);
    }

    async Task MustRestoreAtLeast(RemotePlace place, ulong lsn)
    {
        var result = await place.RestoreAsync(new StoreOptions { Directory = Path.Combine(root, "at-least") });
        Assert.True(result.Lsn >= lsn, $"LSN {lsn} was waited for, and {result.Lsn} came back");
    }

    [Fact]
    public async Task A_full_local_disk_stops_neither_shipping_nor_what_was_acknowledged()
    {
        var place = await places.NewAsync();
        var disk = new TroubledDisk();
        using var store = Store.Open(Options(place.Options) with { Disk = disk });
        Commit(store);
        // The first hints have pages flushed, and so need room.
        store.SyncRemote();
        place.IsAway = true;
        for (var i = 0; i < 20; i++) Commit(store);
        disk.IsFull = true;
        var full = Assert.Throws<RecoveryException>(() =>
        {
            for (var i = 0; i < 100; i++) Commit(store);
        });
        Assert.Equal(RecoveryError.Full, full.Error);
        var acknowledged = store.Lsn.Last;
        place.IsAway = false;
        store.WaitRestorable(acknowledged);
        await MustRestoreAs(place, store);
        disk.IsFull = false;
        Commit(store);
        store.SyncRemote();
        await MustRestoreAs(place, store);
    }
}

public sealed class DirectoryOutageTests(DirectoryPlaces places) : RemoteOutageTests(places),
    IClassFixture<DirectoryPlaces>;

[Collection(S3Collection.Name)]
public sealed class S3OutageTests(S3Server server) : RemoteOutageTests(new BucketPlaces(server))
{
    [Fact]
    public async Task A_gateway_that_dies_under_a_store_and_comes_back_loses_nothing()
    {
        var places = new BucketPlaces(server);
        var place = await places.NewAsync();
        var directory = Directory.CreateTempSubdirectory("recovery-gateway-").FullName;
        try
        {
            using var store =
                Store.Open(new StoreOptions { Directory = Path.Combine(directory, "store"), Remote = place.Options });
            var (random, model) = (new Random(1), new SortedDictionary<string, byte[]>(StringComparer.Ordinal));
            StoreTests.Transaction(random, store, model);
            store.SyncRemote();
            server.StopGateway();
            for (var i = 0; i < 30; i++) StoreTests.Transaction(random, store, model);
            store.Sync();
            await Until.IsTrue(() => store.Remote!.State.Phase == ShipperPhase.Outage);
            server.StartGateway();
            store.WaitRestorable(store.Lsn.Last);
            Assert.True(store.Remote!.State.IsHealthy);
            await place.RestoreAsync(new StoreOptions { Directory = Path.Combine(directory, "restored") });
            using var restored = Store.Open(new StoreOptions { Directory = Path.Combine(directory, "restored") });
            StoreTests.Compare(restored, model);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
