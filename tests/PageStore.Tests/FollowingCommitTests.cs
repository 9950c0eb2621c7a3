using System.Collections.Concurrent;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Commits of one database that lie on others which are not durable yet: what each writer was told holds, and readers
/// see nothing that a loss of power takes back.
/// </summary>
public sealed class FollowingCommitTests
{
    const int Writers = 5, Pages = 6, PageBytes = 512;

    static StoreOptions Options(ILogDisk disk)
        => new() { Directory = "/store", Disk = disk, PagesInMemory = true, PageCacheBytes = 1 << 20 };

    /// <summary>A database whose first page counts its commits, and whose others say which commit wrote them.</summary>
    sealed class Counted : IDisposable
    {
        readonly Store store;
        // The writer's place.
        readonly SemaphoreSlim place = new(1);

        public Counted(ILogDisk disk)
        {
            store = Store.Open(Options(disk));
            var database = store.Create("a.db");
            using var overlay = store.BeginOverlay(database, database.Current);
            for (var page = 0; page < Pages; page++) overlay.Write(page * PageBytes, PageOf(0, page));
            store.Commit([overlay], durable: true);
        }

        public Store Store => store;

        public Database Database => store.Find("a.db")!;

        /// <summary>Commits one more on top of whatever is newest; returns its number.</summary>
        public int Commit(Random random, bool durable, Action<int>? begun = null)
        {
            place.Wait();
            var hasPlace = true;
            var basis = Database.PinNewest();
            try
            {
                var number = NumberIn(Database, basis) + 1;
                begun?.Invoke(number);
                using var overlay = store.BeginOverlay(Database, basis);
                foreach (var page in PagesOf(number)) overlay.Write(page * PageBytes, PageOf(number, page));
                if (!durable) store.Commit([overlay], durable: false);
                else
                {
                    // What FCNTL_SYNC and a truncation after it do.
                    if (random.Next(2) == 0) store.Prepare([overlay]);
                    var version = store.CommitAndLetGo(overlay, () =>
                    {
                        hasPlace = false;
                        place.Release();
                    });
                    Assert.Equal(number, NumberIn(Database, version));
                    Database.Unpin(version);
                }
                return number;
            }
            finally
            {
                Database.Unpin(basis);
                if (hasPlace) place.Release();
            }
        }

        public void Dispose() => store.Dispose();
    }

    static IEnumerable<int> PagesOf(int number) => [0, 1 + number % (Pages - 1), 1 + number * 7 % (Pages - 1)];

    static byte[] PageOf(int number, int page)
    {
        var bytes = new byte[PageBytes];
        new Random((number * 100) + page).NextBytes(bytes);
        BitConverter.TryWriteBytes(bytes, number);
        return bytes;
    }

    /// <summary>The number of a pinned version, all of whose pages must be those of that commit.</summary>
    static int NumberIn(Database database, DatabaseVersion version)
    {
        var bytes = new byte[Pages * PageBytes];
        Assert.Equal(bytes.Length, database.Read(version, 0, bytes));
        var number = BitConverter.ToInt32(bytes);
        for (var page = 0; page < Pages; page++)
        {
            var writtenBy = number;
            while (writtenBy > 0 && !PagesOf(writtenBy).Contains(page)) writtenBy--;
            Assert.True(bytes.AsSpan(page * PageBytes, PageBytes).SequenceEqual(PageOf(writtenBy, page)),
                $"page {page} of commit {number} is not what commit {writtenBy} wrote");
        }
        return number;
    }

    static int NewestIn(Database database)
    {
        var version = database.Pin();
        try
        {
            return NumberIn(database, version);
        }
        finally
        {
            database.Unpin(version);
        }
    }

    static void InThreads(Action<int> work)
    {
        var threads = Enumerable.Range(0, Writers).Select(i => new Thread(() => work(i))).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => Assert.True(t.Join(TimeSpan.FromMinutes(1)), "a commit waits for ever"));
    }

    static void Check(PowerLossDisk image, int atLeast, int atMost)
    {
        using var store = Store.Open(Options(image));
        Assert.InRange(NewestIn(store.Find("a.db")!), atLeast, atMost);
        Assert.Empty(store.Verify(null, default));
    }

    [Fact]
    public void The_next_commit_begins_while_the_one_before_is_at_the_disk_and_readers_see_neither()
    {
        var disk = new PowerLossDisk();
        using var counted = new Counted(disk);
        using var two = new CountdownEvent(2);
        var database = counted.Database;
        disk.Before = (call, _) =>
        {
            if (call == DiskCall.SyncData) Assert.True(two.Wait(TimeSpan.FromMinutes(1)), "no commit follows");
        };
        var numbers = new ConcurrentBag<int>();
        var threads = Enumerable.Range(0, 2).Select(i => new Thread(() =>
            numbers.Add(counted.Commit(new Random(i), durable: true, begun: n =>
            {
                // The first is not published when the second begins.
                if (n == 2) Assert.Equal(0, NewestIn(database));
                two.Signal();
            })))).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => Assert.True(t.Join(TimeSpan.FromMinutes(1)), "a commit waits for ever"));
        disk.Before = null;
        Assert.Equal([1, 2], numbers.Order());
        Assert.Equal(2, NewestIn(database));
        Assert.Empty(counted.Store.Verify(null, default));
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void After_power_loss_at_any_moment_all_that_returned_or_was_seen_is_there() => Seeds.Run(6, random =>
    {
        var disk = new PowerLossDisk();
        var (returned, seen, begun, over) = (0, 0, 0, false);
        var images = new List<(PowerLossDisk Image, int AtLeast, int AtMost)>();
        var strange = new ConcurrentQueue<Exception>();
        using (var counted = new Counted(disk))
        {
            // Under the disk's lock, so nothing happens to the disk in between.
            disk.Before = (_, _) =>
            {
                if (random.Next(12) != 0) return;
                var known = Math.Max(Volatile.Read(ref returned), Volatile.Read(ref seen));
                var image = random.Next(2) == 0 ? disk.AfterPowerLoss(disk.OldestPending) : disk.AfterPowerLoss(random);
                images.Add((image, known, Volatile.Read(ref begun)));
            };
            var reader = new Thread(() =>
            {
                try
                {
                    while (!Volatile.Read(ref over)) Raise(ref seen, NewestIn(counted.Database));
                }
                catch (Exception e)
                {
                    strange.Enqueue(e);
                }
            });
            reader.Start();
            var seeds = Enumerable.Range(0, Writers).Select(_ => random.Next()).ToArray();
            InThreads(writer =>
            {
                var own = new Random(seeds[writer]);
                try
                {
                    // All are durable: a reader may show what is merely written, and the disk may lose it.
                    for (var i = 0; i < 20; i++)
                        Raise(ref returned, counted.Commit(own, durable: true, n => Raise(ref begun, n)));
                }
                catch (Exception e)
                {
                    strange.Enqueue(e);
                }
            });
            Volatile.Write(ref over, true);
            reader.Join();
            disk.Before = null;
            Assert.Empty(strange);
            Assert.Equal(Writers * 20, NewestIn(counted.Database));
            Assert.Empty(counted.Store.Verify(null, default));
        }
        Assert.NotEmpty(images);
        foreach (var (image, atLeast, atMost) in images) Check(image, atLeast, atMost);
    });

    [Theory]
    [InlineData(DiskCall.Write, RecoveryError.Full), InlineData(DiskCall.Write, RecoveryError.IoWrite),
        InlineData(DiskCall.SyncData, RecoveryError.IoSync)]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void When_the_disk_fails_all_on_top_of_a_failed_commit_fail_and_nothing_of_them_is_found(DiskCall call,
        RecoveryError error) => Seeds.Run(15, random =>
    {
        var disk = new PowerLossDisk();
        var (returned, seen) = (0, 0);
        var strange = new ConcurrentQueue<Exception>();
        using (var counted = new Counted(disk))
        {
            disk.Fail(call, random.Next(1, 40), error, "log");
            var seeds = Enumerable.Range(0, Writers).Select(_ => random.Next()).ToArray();
            InThreads(writer =>
            {
                var own = new Random(seeds[writer]);
                for (var i = 0; i < 20; i++)
                {
                    try
                    {
                        Raise(ref returned, counted.Commit(own, durable: own.Next(4) != 0));
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
            });
            Assert.Empty(strange);
            seen = NewestIn(counted.Database);
        }
        disk.ClearFaults();
        Assert.Equal(returned, seen);
        // What was merely to be written may be lost with the power, or when the log gave up.
        Check(disk.AfterPowerLoss(disk.OldestPending), 0, returned);
        Check(disk, 0, returned);
    });

    static void Raise(ref int target, int to)
    {
        for (var now = Volatile.Read(ref target); now < to;)
        {
            var before = Interlocked.CompareExchange(ref target, to, now);
            if (before == now) return;
            now = before;
        }
    }
}
