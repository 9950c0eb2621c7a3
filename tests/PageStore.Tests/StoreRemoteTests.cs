using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A store ships to a remote, the machine is lost, and another one gets everything back, at any commit.
/// </summary>
public abstract class StoreRemoteTests(IRemotePlaces places) : IDisposable
{
    readonly string root = Path.Combine(Path.GetTempPath(), "remote-" + Guid.NewGuid().ToString("N"));

    public void Dispose() => Directory.Delete(root, recursive: true);

    RemotePlace place = null!;

    StoreOptions Options(string name, bool remote = true, long hintsBytes = 1 << 20, Retention? retention = null)
        => new()
        {
            Directory = Path.Combine(root, name),
            PageCacheBytes = 1 << 20,
            PendingBytes = 1 << 20,
            Remote = remote ? place.Options with { HintsBytes = hintsBytes, Retention = retention ?? new() } : null,
        };

    Task<RestoreResult> Restore(string name, RestoreTarget target = default)
        => place.RestoreAsync(Options(name, remote: false), target);

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public async Task Every_commit_can_be_restored_and_the_newest_taken_over()
    {
        place = await places.NewAsync();
        await Seeds.OnceAsync(Run);
    }

    async Task Run(Random random)
    {
        var model = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        var states = new List<(ulong Lsn, SortedDictionary<string, byte[]> State)>();
        var writer = Store.Open(Options("writer"));
        try
        {
            for (var i = 0; i < 60; i++)
            {
                StoreTests.Transaction(random, writer, model);
                states.Add((writer.Lsn.Last, new(model, StringComparer.Ordinal)));
                if (i == 20) await writer.Remote!.PublishHintsAsync();
                if (random.Next(10) == 0) writer.WaitRestorable(writer.Lsn.Last);
            }
            var committed = writer.Lsn.Last;
            writer.SyncRemote();
            Assert.True(writer.Remote!.State.ShippedLsn >= committed);
            await writer.Remote.PublishHintsAsync();
            for (var i = 0; i < 10; i++) StoreTests.Transaction(random, writer, model);
            committed = writer.Lsn.Last;
            writer.SyncRemote();
            foreach (var (lsn, state) in states.DistinctBy(s => s.Lsn).OrderBy(_ => random.Next()).Take(5))
            {
                var at = await Restore($"at-{lsn}", RestoreTarget.At(lsn));
                Assert.Equal(lsn, at.Lsn);
                using var store = Store.Open(Options($"at-{lsn}", remote: false));
                StoreTests.Compare(store, state);
            }
            var result = await Restore("second");
            Assert.True(result.Lsn >= committed);
            var nothing = new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero };
            using (var second = Store.Open(Options("second", retention: nothing)))
            {
                StoreTests.Compare(second, model);
                StoreTests.Transaction(random, second, model);
                second.WaitRestorable(second.Lsn.Last);
                // Nothing before is kept, and yet the first writer is fenced as soon as it ships anything.
                await second.Remote!.PublishHintsAsync();
                StoreTests.Transaction(random, second, model);
                second.WaitRestorable(second.Lsn.Last);
                await second.Remote.PublishHintsAsync();
                await second.Remote.CollectAsync(nothing);
                var other = new SortedDictionary<string, byte[]>(model, StringComparer.Ordinal);
                var fenced = Assert.Throws<RecoveryException>(() =>
                {
                    using var overlay =
                        writer.BeginOverlay(writer.Create("zombie.db"), writer.Create("zombie.db").Current);
                    overlay.Write(0, new byte[512]);
                    writer.WaitRestorable(writer.Commit([overlay], durable: true));
                });
                Assert.Equal(RecoveryError.Fenced, fenced.Error);
                Assert.Equal(RecoveryError.Fenced, Assert.Throws<RecoveryException>(() => writer.Create("more.db"))
                    .Error);
            }
            using (var again = Store.Open(Options("second"))) StoreTests.Compare(again, model);
            Assert.NotEqual(0UL, (await Restore("third")).Lsn);
            using (var third = Store.Open(Options("third", remote: false))) StoreTests.Compare(third, model);
        }
        finally
        {
            writer.Dispose();
        }
    }
}

public sealed class DirectoryStoreRemoteTests(DirectoryPlaces places) : StoreRemoteTests(places),
    IClassFixture<DirectoryPlaces>;

[Collection(S3Collection.Name)]
public sealed class S3StoreRemoteTests(S3Server server) : StoreRemoteTests(new BucketPlaces(server));

/// <summary>Hints by their age: a store that writes little gets some in time.</summary>
public sealed class HintsIntervalTests(DirectoryPlaces places) : IClassFixture<DirectoryPlaces>, IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("interval-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public async Task A_little_written_gets_hints_when_the_last_are_old_and_nothing_written_none()
    {
        var place = await places.NewAsync();
        using var store = Store.Open(new StoreOptions
        {
            Directory = root,
            Remote = place.Options with { HintsInterval = TimeSpan.FromMilliseconds(50) }
        });
        var (random, model) = (new Random(3), new SortedDictionary<string, byte[]>(StringComparer.Ordinal));
        for (var i = 0; i < 3; i++)
        {
            StoreTests.Transaction(random, store, model);
            var changed = ((Shipping.IShippedStore)store).LastChangeLsn;
            store.WaitRestorable(changed);
            await Until.IsTrue(() => store.Remote!.State.Hints?.Lsn >= changed);
            // What the hints themselves have written is no change.
            Assert.True(((Shipping.IShippedStore)store).LastChangeLsn <= store.Remote!.State.Hints!.Value.Lsn);
        }
    }
}
