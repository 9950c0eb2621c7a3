using System.Collections.Concurrent;
using System.Globalization;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Reading in page order brings pages in ahead, and never shows anything but the version that was asked for.
/// </summary>
public sealed class ReadAheadTests
{
    const int PageSize = 4096;

    static StoreOptions Options(TempDirectory directory, long cacheBytes)
        => new() { Directory = directory["store"], PageCacheBytes = cacheBytes, PendingBytes = 1 << 20 };

    static void Fill(Span<byte> page, uint number, int stamp)
    {
        page.Fill((byte)stamp);
        BitConverter.TryWriteBytes(page, number);
        BitConverter.TryWriteBytes(page[8..], stamp);
    }

    static void Write(Store store, Database database, IEnumerable<uint> pages, int stamp)
    {
        var page = new byte[PageSize];
        using var overlay = store.BeginOverlay(database, database.Current);
        foreach (var number in pages)
        {
            Fill(page, number, stamp);
            overlay.Write((number - 1L) * PageSize, page);
        }
        store.Commit([overlay], durable: false);
    }

    static long Status(Store store, string name)
        => long.Parse(store.Status().First(r => r.Key == name).Value, CultureInfo.InvariantCulture);

    [Fact]
    public void A_scan_misses_few_pages()
    {
        const int Pages = 4000;
        using var directory = new TempDirectory();
        using (var store = Store.Open(Options(directory, 64 << 20)))
        {
            Write(store, store.Create("a.db"), Enumerable.Range(1, Pages).Select(p => (uint)p), 1);
            store.Checkpoint();
        }
        using var reopened = Store.Open(Options(directory, 64 << 20));
        var database = reopened.Find("a.db")!;
        var version = database.Pin();
        var expected = new byte[PageSize];
        var actual = new byte[PageSize];
        for (var page = 1u; page <= Pages; page++)
        {
            Fill(expected, page, 1);
            Assert.Equal(PageSize, database.Read(version, (page - 1L) * PageSize, actual));
            Assert.Equal(expected, actual);
        }
        database.Unpin(version);
        Assert.InRange(Status(reopened, "pages_read_ahead"), Pages / 2, Pages);
    }

    /// <summary>Pages that are brought in are the newest: who reads an older version could not use them.</summary>
    [Fact]
    public void Reading_an_older_version_brings_nothing_in()
    {
        const int Pages = 2000;
        using var directory = new TempDirectory();
        using (var store = Store.Open(Options(directory, 64 << 20)))
        {
            Write(store, store.Create("a.db"), Enumerable.Range(1, Pages).Select(p => (uint)p), 1);
            store.Checkpoint();
        }
        using var reopened = Store.Open(Options(directory, 64 << 20));
        var database = reopened.Find("a.db")!;
        var (expected, actual) = (new byte[PageSize], new byte[PageSize]);
        var version = database.Pin();
        Write(reopened, database, [Pages], 2);
        for (var page = 1u; page <= Pages; page++)
        {
            Fill(expected, page, 1);
            Assert.Equal(PageSize, database.Read(version, (page - 1L) * PageSize, actual));
            Assert.Equal(expected, actual);
        }
        database.Unpin(version);
        Assert.Equal(0, Status(reopened, "pages_read_ahead"));
    }

    [Fact]
    public void Runs_of_a_few_pages_bring_in_no_more_than_a_few()
    {
        const int Pages = 20_000, Runs = 500, Length = 3;
        var seed = Environment.TickCount;
        var random = new Random(seed);
        using var directory = new TempDirectory();
        using (var store = Store.Open(Options(directory, 1 << 20)))
        {
            Write(store, store.Create("a.db"), Enumerable.Range(1, Pages).Select(p => (uint)p), 1);
            store.Checkpoint();
        }
        using var reopened = Store.Open(Options(directory, 1 << 20));
        var database = reopened.Find("a.db")!;
        var version = database.Pin();
        var bytes = new byte[PageSize];
        for (var run = 0; run < Runs; run++)
        {
            // Far from one another, as rows with overflow pages are that are read by their keys.
            var first = (uint)random.Next(1, Pages / 10) * 10;
            for (var page = first; page < first + Length; page++) database.Read(version, (page - 1L) * PageSize, bytes);
        }
        database.Unpin(version);
        Assert.True(Status(reopened, "pages_read_ahead") is > 0 and <= Runs * 4L,
            $"{Status(reopened, "pages_read_ahead")} pages for {Runs} runs of {Length}; seed {seed}");
    }

    /// <summary>A store with one database of so many pages, in files, and opened anew.</summary>
    static Store Filled(TempDirectory directory, int pages, long cacheBytes)
    {
        using (var store = Store.Open(Options(directory, cacheBytes)))
        {
            Write(store, store.Create("a.db"), Enumerable.Range(1, pages).Select(p => (uint)p), 1);
            store.Checkpoint();
        }
        return Store.Open(Options(directory, cacheBytes));
    }

    static void ReadAtRandom(Database database, int pages, int count, Random random)
    {
        var version = database.Pin();
        var (expected, actual) = (new byte[PageSize], new byte[PageSize]);
        for (var i = 0; i < count; i++)
        {
            var page = (uint)random.Next(1, pages + 1);
            Fill(expected, page, 1);
            Assert.Equal(PageSize, database.Read(version, (page - 1L) * PageSize, actual));
            Assert.Equal(expected, actual);
        }
        database.Unpin(version);
    }

    [Fact]
    public void A_database_that_fits_and_is_read_all_over_comes_into_the_cache_as_a_whole()
    {
        const int Pages = 6000;
        using var directory = new TempDirectory();
        using var store = Filled(directory, Pages, 64 << 20);
        var random = new Random(1);
        var database = store.Find("a.db")!;
        ReadAtRandom(database, Pages, 20, random);
        Assert.Equal(0, Status(store, "pages_warmed"));
        // Whoever reads on before the warming thread had its turn reads by itself what it would have brought.
        for (var round = 0; !database.Warming.HasEnded && round < 1000; round++)
        {
            ReadAtRandom(database, Pages, 10, random);
            Assert.True(SpinWait.SpinUntil(() => database.Warming.Stream is not { Queued: true }, 60_000),
                "the warming does not come to an end");
        }
        // What random reads brought by themselves, or happened to be next to one another, is not for the warming: how
        // much that is depends on when its thread has its turn.
        var misses = Status(store, "cache_misses");
        Assert.InRange(Status(store, "pages_warmed"), Pages / 2, Pages);
        Assert.InRange(Status(store, "pages_warmed") + Status(store, "pages_read_ahead") + misses, Pages * 9 / 10,
            int.MaxValue);
        ReadAtRandom(database, Pages, 2000, random);
        Assert.InRange(Status(store, "cache_misses") - misses, 0, 100);
    }

    [Fact]
    public void A_database_that_does_not_fit_into_free_memory_is_not_brought_in_as_a_whole()
    {
        const int Pages = 6000;
        using var directory = new TempDirectory();
        using var store = Filled(directory, Pages, 16 << 20);
        ReadAtRandom(store.Find("a.db")!, Pages, 3000, new Random(1));
        Assert.Equal(0, Status(store, "pages_warmed"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    public async Task Scans_beside_a_writer_see_their_version(int cacheMegabytes)
    {
        const int Pages = 600, Commits = 400;
        var seed = Environment.TickCount;
        using var directory = new TempDirectory();
        using var store = Store.Open(Options(directory, (long)cacheMegabytes << 20));
        var database = store.Create("a.db");
        // What each page's stamp is in a version, by the version's LSN.
        var models = new ConcurrentDictionary<ulong, int[]>();
        var model = new int[Pages + 1];
        Array.Fill(model, 1);
        Write(store, database, Enumerable.Range(1, Pages).Select(p => (uint)p), 1);
        models[database.Current.Lsn] = [.. model];
        store.Checkpoint();
        using var over = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            var scans = 0;
            while (!over.IsCancellationRequested || scans < 2)
            {
                Scan(database, models, Pages, seed);
                scans++;
            }
        })).ToArray();
        var random = new Random(seed);
        for (var commit = 2; commit < Commits; commit++)
        {
            var pages = Enumerable.Range(0, random.Next(1, 5)).Select(_ => (uint)random.Next(1, Pages + 1)).Distinct()
                .ToArray();
            foreach (var page in pages) model[page] = commit;
            Write(store, database, pages, commit);
            models[database.Current.Lsn] = [.. model];
            if (random.Next(20) == 0) store.Checkpoint();
        }
        await over.CancelAsync();
        await Task.WhenAll(readers);
        Assert.Empty(store.Verify(null, default));
    }

    static void Scan(Database database, ConcurrentDictionary<ulong, int[]> models, int pages, int seed)
    {
        var version = database.Pin();
        try
        {
            // Its writer notes the model a moment after the version was published.
            int[]? stamps;
            while (!models.TryGetValue(version.Lsn, out stamps)) Thread.Yield();
            var page = new byte[PageSize];
            for (var number = 1u; number <= pages; number++)
            {
                Assert.Equal(PageSize, database.Read(version, (number - 1L) * PageSize, page));
                Assert.True(number == BitConverter.ToUInt32(page), $"seed {seed}: page {number} has another's bytes");
                Assert.True(stamps[number] == BitConverter.ToInt32(page, 8),
                    $"seed {seed}: page {number} at LSN {version.Lsn} is of commit {BitConverter.ToInt32(page, 8)}, "
                        + $"not {stamps[number]}");
            }
        }
        finally
        {
            database.Unpin(version);
        }
    }
}
