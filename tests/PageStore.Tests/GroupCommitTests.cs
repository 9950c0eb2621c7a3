using System.Collections.Concurrent;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Threads that commit to databases of their own in one store share its disk: what each was told holds, whatever
/// becomes of the disk.
/// </summary>
public sealed class GroupCommitTests
{
    const int Writers = 6;

    static StoreOptions Options(ILogDisk disk)
        => new() { Directory = "/store", Disk = disk, PagesInMemory = true, PageCacheBytes = 1 << 20 };

    static byte[] PageOf(int writer, int number)
    {
        var page = new byte[512];
        BitConverter.TryWriteBytes(page, writer);
        BitConverter.TryWriteBytes(page.AsSpan(4), number);
        return page;
    }

    /// <summary>The number that a writer's database holds; 0 for none.</summary>
    static int NumberIn(Store store, int writer)
    {
        if (store.Find($"d{writer}.db") is not { } database) return 0;
        var version = database.Pin();
        var page = new byte[512];
        var got = database.Read(version, 0, page);
        database.Unpin(version);
        return got == 0 ? 0 : BitConverter.ToInt32(page, 4);
    }

    static void Commit(Store store, int writer, int number)
    {
        var database = store.Find($"d{writer}.db")!;
        using var overlay = store.BeginOverlay(database, database.Current);
        overlay.Write(0, PageOf(writer, number));
        store.Commit([overlay], durable: true);
    }

    static List<Thread> InThreads(Action<int> work)
    {
        var threads = Enumerable.Range(0, Writers).Select(i => new Thread(() => work(i))).ToList();
        threads.ForEach(t => t.Start());
        return threads;
    }

    static void Join(List<Thread> threads)
        => threads.ForEach(t => Assert.True(t.Join(TimeSpan.FromMinutes(1)), "a commit waits for ever"));

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void After_power_loss_at_any_moment_every_commit_that_returned_is_there() => Seeds.Run(6, random =>
    {
        var disk = new PowerLossDisk();
        var returned = new int[Writers];
        var images = new List<(PowerLossDisk Image, int[] Returned, int[] Begun)>();
        var begun = new int[Writers];
        using (var store = Store.Open(Options(disk)))
        {
            for (var i = 0; i < Writers; i++) store.Create($"d{i}.db");
            // Under the disk's lock, so nothing happens to the disk in between.
            disk.Before = (_, _) =>
            {
                if (random.Next(12) != 0) return;
                var known = returned.Select((_, i) => Volatile.Read(ref returned[i])).ToArray();
                var image = random.Next(2) == 0 ? disk.AfterPowerLoss(disk.OldestPending) : disk.AfterPowerLoss(random);
                images.Add((image, known, [.. begun.Select((_, i) => Volatile.Read(ref begun[i]))]));
            };
            Join(InThreads(writer =>
            {
                for (var number = 1; number <= 25; number++)
                {
                    Volatile.Write(ref begun[writer], number);
                    Commit(store, writer, number);
                    Volatile.Write(ref returned[writer], number);
                }
            }));
            disk.Before = null;
        }
        Assert.NotEmpty(images);
        foreach (var (image, known, started) in images)
        {
            using var store = Store.Open(Options(image));
            for (var i = 0; i < Writers; i++) Assert.InRange(NumberIn(store, i), known[i], started[i]);
            Assert.Empty(store.Verify(null, default));
        }
    });

    [Theory]
    [InlineData(DiskCall.Write, RecoveryError.Full), InlineData(DiskCall.Write, RecoveryError.IoWrite),
        InlineData(DiskCall.SyncData, RecoveryError.IoSync)]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_commit_that_failed_in_a_group_is_not_seen_and_not_found_and_one_that_returned_is(DiskCall call,
        RecoveryError error) => Seeds.Run(15, random =>
    {
        var disk = new PowerLossDisk();
        var (returned, seen) = (new int[Writers], new int[Writers]);
        var strange = new ConcurrentQueue<Exception>();
        using (var store = Store.Open(Options(disk)))
        {
            for (var i = 0; i < Writers; i++) store.Create($"d{i}.db");
            disk.Fail(call, random.Next(1, 60), error, "log");
            Join(InThreads(writer =>
            {
                for (var number = 1; number <= 25; number++)
                {
                    try
                    {
                        Commit(store, writer, number);
                        returned[writer] = number;
                    }
                    catch (RecoveryException)
                    {
                        // The next may succeed, unless the store is poisoned.
                    }
                    catch (Exception e)
                    {
                        strange.Enqueue(e);
                    }
                }
            }));
            Assert.Empty(strange);
            for (var i = 0; i < Writers; i++) seen[i] = NumberIn(store, i);
        }
        disk.ClearFaults();
        Assert.Equal(returned, seen);
        foreach (var image in new[] { disk.AfterPowerLoss(random), disk })
        {
            using var store = Store.Open(Options(image));
            for (var i = 0; i < Writers; i++) Assert.Equal(returned[i], NumberIn(store, i));
            Assert.Empty(store.Verify(null, default));
        }
    });
}
