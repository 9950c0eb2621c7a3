using System.Globalization;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.FollowedDirectories;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>
/// A follower is killed at each change that it makes to its directory, on the way from one state to another that has
/// other tables, another MANIFEST and other write-ahead logs: stock RocksDB opens what it leaves, and it goes on from
/// there.
/// </summary>
public sealed class FollowerKillTests
{
    [Fact]
    public async Task Whatever_change_was_the_last_the_directory_opens_and_is_followed_on()
    {
        using var site = new Site();
        await PrepareAsync(site);
        var steps = 0;
        for (var isDone = false; !isDone; steps++)
        {
            var copy = site.At($"copy-{steps}");
            Site.Run("cp", "-a", site.At("followed"), copy);
            isDone = await FollowUntilKilledAsync(site, copy, steps);
            // No process of ours in between: what a stock RocksDB finds there now.
            var left = int.Parse(Site.Read(copy)["newest"], CultureInfo.InvariantCulture);
            Assert.True(left is >= 2 and <= 9, $"step {steps}: write {left}");
            var follower = await RecordedRocksDb.FollowAsync(site.Url, copy);
            await using (follower)
            {
                await follower.CaughtUpAsync();
                Assert.True(follower.State.StartedOver == 0, $"step {steps}: it started over");
                using var state = follower.Read();
                Assert.Equal("9", state.Db.Get("newest"));
            }
            Directory.Delete(copy, recursive: true);
        }
        Assert.InRange(steps, 20, 200);
    }

    /// <summary>The follower has 2 writes, and the remote 9.</summary>
    static async Task PrepareAsync(Site site)
    {
        using (var kv = Open(site))
        {
            Write(kv, 1, 2);
            await kv.SyncAsync();
            using var follower = await RecordedRocksDb.FollowAsync(site.Url, site.At("followed"));
            await follower.CaughtUpAsync();
        }
        using (var kv = Open(site))
        {
            Write(kv, 3, 7);
            kv.Db.CompactRange((byte[]?)null, null);
            Write(kv, 8, 9);
            await kv.SyncAsync();
        }
    }

    static RecordedRocksDb Open(Site site) => site.Open(o => o.SetWriteBufferSize(64 << 10));

    static void Write(RecordedRocksDb kv, int from, int to)
    {
        for (var i = from; i <= to; i++)
        {
            using var batch = new WriteBatch();
            for (var key = 0; key < 20; key++) batch.Put($"key{i * 20 + key:d4}", new string('x', 300));
            batch.Put("newest", i.ToString(CultureInfo.InvariantCulture));
            kv.Db.Write(batch);
        }
    }

    /// <summary>True when it came to the end.</summary>
    static async Task<bool> FollowUntilKilledAsync(Site site, string path, int changes)
    {
        var disk = new DyingDisk(changes);
        var options = new FollowerOptions
        {
            Url = site.Url,
            Store = new StoreOptions { Directory = StoreHome.Within(path), Disk = disk },
            PinExpiry = TimeSpan.Zero,
        };
        try
        {
            await using var follower = await DirectoryFollower.StartAsync(options);
            await follower.Running.CaughtUpAsync();
        }
        catch (RecoveryLog.RecoveryException) when (disk.IsDead)
        {
            return false;
        }
        return !disk.IsDead;
    }
}
