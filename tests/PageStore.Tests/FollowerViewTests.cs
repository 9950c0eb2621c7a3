using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A follower's directory is read from its files, as another process would, while it follows, is killed, starts over
/// and is promoted.
/// </summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class FollowerViewTests : IDisposable
{
    // Of one test: xUnit makes an object for each.
    readonly CancellationToken Patience = new CancellationTokenSource(TimeSpan.FromMinutes(3)).Token;

    readonly string root = Path.Combine(Path.GetTempPath(), "follower-view-" + Guid.NewGuid().ToString("N"));
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    Random random = new();

    public void Dispose() => Directory.Delete(root, recursive: true);

    string Url => "file://" + Path.Combine(root, "bucket");

    StoreOptions Options(string name, bool remote = true, bool collect = false) => new()
    {
        Directory = Path.Combine(root, name),
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        OverlayBytes = 256 << 10,
        SegmentBytes = 64 << 10,
        Remote = !remote ? null : new RemoteOptions
        {
            Url = Url,
            SyncInterval = TimeSpan.FromMilliseconds(5),
            Retention = collect
                ? new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero }
                : new Retention(),
        },
    };

    FollowerOptions Following => new()
    {
        Url = Url,
        Store = Options("follower", remote: false),
        Interval = TimeSpan.FromMilliseconds(20),
        SettleInterval = TimeSpan.FromMilliseconds(100),
        PinExpiry = TimeSpan.Zero,
    };

    StoreView View() => StoreView.Open(Options("follower", remote: false));

    Task Seeded(Func<Task> run, [System.Runtime.CompilerServices.CallerMemberName] string name = "") => Seeds.OnceAsync(
        seeded =>
    {
        random = seeded;
        return run();
    }, name);

    ulong Write(Store writer, int transactions)
    {
        for (var i = 0; i < transactions; i++) StoreTests.Transaction(random, writer, model);
        var lsn = writer.Lsn.Last;
        if (lsn > 0) writer.WaitRestorable(lsn);
        return lsn;
    }

    void Compare(StoreView view, ulong lsn)
    {
        using var reader = view.Read();
        Assert.True(reader.Lsn >= lsn, $"the follower has LSN {lsn}, and is seen at {reader.Lsn}");
        Assert.Equal(model.Where(m => m.Value.Length > 0).Select(m => m.Key), reader.Databases);
        foreach (var (name, content) in model.Where(m => m.Value.Length > 0))
        {
            using var version = reader.Pin(name)!;
            var bytes = new byte[version.SizeBytes];
            Assert.Equal(bytes.Length, version.Read(0, bytes));
            for (var at = 18; at < 20 && at < content.Length; at++)
                if (content[at] == 2) bytes[at] = 2;
            Assert.Equal(content, bytes);
        }
        Assert.Empty(reader.Verify(null));
    }

    [Fact]
    public Task What_a_follower_has_is_seen_at_once_and_after_every_restart() => Seeded(async () =>
    {
        using var writer = Store.Open(Options("writer"));
        var lsn = Write(writer, 5);
        var follower = await Follower.StartAsync(Following, Patience);
        await follower.WaitForAsync(lsn, Patience);
        using var view = View();
        try
        {
            for (var i = 0; i < 60; i++)
            {
                lsn = Write(writer, random.Next(4) == 0 ? 30 : 2);
                await follower.WaitForAsync(lsn, Patience);
                Compare(view, lsn);
                if (random.Next(8) == 0) await writer.Remote!.PublishHintsAsync();
                if (random.Next(6) == 0)
                    using (var late = View()) Compare(late, lsn);
                if (random.Next(6) != 0) continue;
                if (random.Next(2) == 0)
                {
                    await follower.DisposeAsync();
                    Compare(view, lsn);
                }
                else await Killed.KillAsync(follower);
                follower = await Follower.StartAsync(Following, Patience);
                Assert.Equal(0, follower.State.StartedOver);
                Compare(view, lsn);
            }
            await follower.PromoteAsync(Patience);
            Compare(view, lsn);
            writer.Dispose();
            using var promoted = Store.Open(Options("follower"));
            for (var i = 0; i < 5; i++)
            {
                lsn = Write(promoted, 5);
                Compare(view, lsn);
            }
        }
        finally
        {
            await follower.DisposeAsync();
        }
    });

    [Fact]
    public Task A_killed_follower_goes_on_from_what_it_had_and_asks_for_nothing_twice() => Seeded(async () =>
    {
        using var writer = Store.Open(Options("writer"));
        var lsn = Write(writer, 3);
        var follower = await Follower.StartAsync(Following with { SettleInterval = TimeSpan.FromHours(1) }, Patience);
        lsn = Write(writer, 20);
        await follower.WaitForAsync(lsn, Patience);
        await Killed.KillAsync(follower);
        using (var replica = Replica.Open(Options("follower", remote: false)))
        {
            Assert.True(replica.NextLsn <= lsn);
            using var relayed = new RelayedReplica(replica, writer.Log.LogId);
            Assert.Equal(lsn + 1, replica.NextLsn);
            StoreTests.Compare(replica, model);
        }
    });

    [Fact]
    public Task A_follower_that_starts_over_is_read_on() => Seeded(async () =>
    {
        using var writer = Store.Open(Options("writer", collect: true));
        var lsn = Write(writer, 5);
        var follower = await Follower.StartAsync(Following, Patience);
        await follower.WaitForAsync(lsn, Patience);
        using var view = View();
        Compare(view, lsn);
        await follower.DisposeAsync();
        for (var i = 0; i < 4; i++)
        {
            Write(writer, 20);
            await writer.Remote!.PublishHintsAsync();
        }
        await writer.Remote!.CollectAsync();
        lsn = writer.Lsn.Last;
        using var stop = new CancellationTokenSource();
        var reading = Task.Run(() =>
        {
            for (var before = 0UL; !stop.IsCancellationRequested;)
            {
                using var reader = view.Read();
                Assert.True(reader.Lsn >= before, $"LSN {reader.Lsn} after {before}");
                before = reader.Lsn;
                Assert.Empty(reader.Verify(null));
            }
        });
        follower = await Follower.StartAsync(Following, Patience);
        try
        {
            await follower.WaitForAsync(lsn, Patience);
            Compare(view, lsn);
            Assert.Equal(1, follower.State.StartedOver);
        }
        finally
        {
            stop.Cancel();
            await reading;
            await follower.DisposeAsync();
        }
    });

    [Fact]
    public Task A_follower_goes_on_without_room_for_its_copy_of_the_log_and_is_seen_again_later() => Seeded(() =>
    {
        var disk = new TroubledDisk
        {
            CopiesOnWrite = true,
            Fills = path => path.Contains("/relay/", StringComparison.Ordinal)
        };
        var options = Options("follower", remote: false) with { Disk = disk };
        using var writer = Store.Open(Options("writer", remote: false));
        using var keep = writer.Log.Hold("test", 1);
        using var replica = Replica.Open(options);
        using var relayed = new RelayedReplica(replica, writer.Log.LogId);
        void Follow(int transactions)
        {
            for (var i = 0; i < transactions; i++) StoreTests.Transaction(random, writer, model);
            writer.WriteOut();
            StoreTests.Relay(writer, relayed);
        }
        Follow(20);
        using var view = View();
        Compare(view, replica.NextLsn - 1);
        var before = view.Lsn;
        disk.IsFull = true;
        Follow(60);
        StoreTests.Compare(replica, model);
        using (var reader = view.Read()) Assert.Equal(before, reader.Lsn);
        relayed.Settle();
        Follow(5);
        disk.IsFull = false;
        relayed.Settle();
        Compare(view, replica.NextLsn - 1);
        Follow(20);
        Compare(view, replica.NextLsn - 1);
        return Task.CompletedTask;
    });

    [Fact]
    public Task Files_that_are_ahead_of_any_log_are_not_read_before_they_are_whole_again() => Seeded(() =>
    {
        using var writer = Store.Open(Options("writer", remote: false));
        using var keep = writer.Log.Hold("test", 1);
        var options = Options("follower", remote: false);
        using (var replica = Replica.Open(options))
        {
            replica.SetSource(writer.Log.LogId, 0);
            for (var i = 0; i < 10; i++) StoreTests.Transaction(random, writer, model);
            Follow(replica);
            replica.Settle();
            using (var view = View()) Compare(view, replica.NextLsn - 1);
            for (var i = 0; i < 10; i++) StoreTests.Transaction(random, writer, model);
            Follow(replica);
            Killed.Copy(replica, options.Directory + "-copy");
        }
        Killed.Replace(options.Directory);
        Assert.Equal(RecoveryError.Busy, Assert.Throws<RecoveryException>(View).Error);
        using (var replica = Replica.Open(options))
        {
            Follow(replica);
            replica.Settle();
            using var view = View();
            Compare(view, replica.NextLsn - 1);
        }
        return Task.CompletedTask;

        void Follow(Replica replica)
        {
            writer.WriteOut();
            using var cursor = writer.Log.ReadFrom(replica.NextLsn, LogReach.Written);
            while (cursor.TryRead(out var record)) replica.Apply(record);
        }
    });
}
