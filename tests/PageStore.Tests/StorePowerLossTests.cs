using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Power is cut at every moment of a store's life, and the disk keeps what a disk may keep. The reopened store must
/// show, for every database, exactly the commits up to some LSN, and never fewer than those that were durable.
/// </summary>
public sealed class StorePowerLossTests
{
    sealed class History
    {
        /// <summary>Of each database: what each of its commits left, by LSN.</summary>
        public readonly Dictionary<string, SortedList<ulong, byte[]>> Commits = [];
    }

    static StoreOptions Options(ILogDisk disk) => new()
    {
        Directory = "/store",
        Disk = disk,
        PagesInMemory = true,
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
    };

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void After_power_loss_the_store_shows_whole_commits_and_all_durable_ones() => Seeds.Run(12, Run);

    static void Run(Random random)
    {
        var disk = new PowerLossDisk();
        var history = new History();
        var durable = 0UL;
        using var store = Store.Open(Options(disk));
        for (var step = 0; step < 40; step++)
        {
            Commit(random, store, history, ref durable);
            if (random.Next(3) != 0) continue;
            for (var moment = disk.OldestPending; moment <= disk.Now; moment++)
                Check(disk.AfterPowerLoss(moment), history, durable);
            for (var i = 0; i < 6; i++) Check(disk.AfterPowerLoss(random), history, durable);
            Check(disk.AfterProcessDeath(), history, store.Lsn.Last);
        }
    }

    static void Commit(Random random, Store store, History history, ref ulong durable)
    {
        var names = Enumerable.Range(0, 3).Select(n => $"d{n}.db").OrderBy(_ => random.Next())
            .Take(random.Next(4) == 0 ? 2 : 1).ToArray();
        var overlays = new List<PageOverlay>();
        foreach (var name in names)
        {
            var database = store.Find(name) ?? store.Create(name);
            var overlay = store.BeginOverlay(database, database.Current);
            for (var i = random.Next(1, 5); i > 0; i--)
            {
                var bytes = new byte[512];
                random.NextBytes(bytes.AsSpan(0, random.Next(1, 512)));
                overlay.Write(random.Next(20) * 512, bytes);
            }
            if (random.Next(8) == 0) overlay.Truncate(random.Next(8) * 512);
            overlays.Add(overlay);
        }
        var contents = overlays.Select(o =>
        {
            var bytes = new byte[o.SizeBytes];
            o.Read(0, bytes);
            return bytes;
        }).ToArray();
        var sync = random.Next(3) == 0;
        var lsn = store.Commit(overlays.ToArray(), sync);
        if (sync) durable = lsn;
        for (var i = 0; i < names.Length; i++)
        {
            if (!history.Commits.TryGetValue(names[i], out var commits)) history.Commits[names[i]] = commits = [];
            commits.Add(lsn, contents[i]);
        }
    }

    static void Check(PowerLossDisk image, History history, ulong durable)
    {
        using var store = Store.Open(Options(image));
        var last = store.Lsn.Last;
        Assert.True(last >= durable, $"the log ends at {last}, but {durable} was durable");
        foreach (var (name, commits) in history.Commits)
        {
            var expected = commits.Keys.Where(l => l <= last).DefaultIfEmpty(0UL).Max();
            var database = store.Find(name);
            if (expected == 0)
            {
                Assert.True(database is null || database.Current.SizeBytes == 0);
                continue;
            }
            var version = database!.Pin();
            Assert.Equal(expected, version.Lsn);
            var bytes = new byte[version.SizeBytes];
            database.Read(version, 0, bytes);
            Assert.Equal(commits[expected], bytes);
            database.Unpin(version);
        }
        Assert.Empty(store.Verify(null, default));
    }
}
