using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Blocks;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>Sealed files read block by block: what comes, what it costs, what faults make of it.</summary>
public sealed class BlockCacheTests : IDisposable
{
    const int Block = 1 << BlockList.UsualShift;

    readonly string directory = Directory.CreateTempSubdirectory("recovery-blocks-").FullName;
    readonly SimulatedBucket bucket = new(TimeProvider.System);
    readonly SimulatedObjectStore store;
    readonly RemoteContext context;

    public BlockCacheTests()
    {
        store = new SimulatedObjectStore(bucket, new Random(1));
        context = new RemoteContext
        {
            Store = store,
            Tries = 3,
            Backoff = new Backoff { First = TimeSpan.FromMilliseconds(1), Longest = TimeSpan.FromMilliseconds(1) },
            OpenSpool = null,
        };
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    static byte[] Bytes(int size, int seed)
    {
        var bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    async Task<Extent> ShipAsync(byte[] bytes, ulong fnode = 7) => (await new Extents(context).UploadAsync(
        [new SealedFile(fnode, bytes.Length, RecoveryLog.Records.Crc32C.Compute(bytes), () => new MemoryStream(bytes))],
        1))[0];

    BlockFile Open(BlockCache cache, Extent extent) => cache.Open(extent,
        Path.Combine(directory, $"{extent.Fnode}.blob"), Path.Combine(directory, $"{extent.Fnode}.record"));

    BlockCache Cache(BlockCacheOptions? options = null) => new(context, options ?? new BlockCacheOptions());

    void Change(string name, Func<byte[], byte[]> change)
    {
        var bytes = bucket.Find(name)!.Bytes;
        bucket.Delete(name);
        bucket.TryCreate(name, change([.. bytes]));
    }

    static byte[] ReadAll(BlockFile file, int step = 4096)
    {
        var read = new List<byte>();
        var buffer = new byte[step];
        while (file.Read(read.Count, buffer) is var got and > 0) read.AddRange(buffer.AsSpan(0, got));
        return [.. read];
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(Block)]
    [InlineData(4 * Block)]
    [InlineData(4 * Block + 1)]
    [InlineData(9 * Block - 5)]
    public async Task A_file_is_read_as_it_was_shipped(int size)
    {
        var bytes = Bytes(size, 1);
        var extent = await ShipAsync(bytes);
        Assert.Equal(size > BlockList.ListlessBytes, extent.HasList);
        using var cache = Cache();
        using var file = Open(cache, extent);
        Assert.Equal(bytes, ReadAll(file, 70_000));
        Assert.True(file.IsComplete);
        Assert.Equal(size, cache.PresentBytes);
        Assert.Equal(size, cache.TotalBytes);
    }

    [Fact]
    public async Task A_read_fetches_its_block_and_the_list_and_nothing_else()
    {
        var bytes = Bytes(40 * Block, 2);
        var extent = await ShipAsync(bytes);
        using var cache = Cache();
        using var file = Open(cache, extent);
        var buffer = new byte[100];
        var before = store.Requests;
        Assert.Equal(100, file.Read(20 * Block + 5, buffer));
        Assert.Equal(bytes[(20 * Block + 5)..(20 * Block + 105)], buffer);
        Assert.Equal(2, store.Requests - before);
        Assert.Equal(Block, cache.PresentBytes);
        // The same block again, and one across two blocks.
        file.Read(20 * Block + 500, buffer);
        Assert.Equal(2, store.Requests - before);
        file.Read(31 * Block - 50, buffer);
        Assert.Equal(bytes[(31 * Block - 50)..(31 * Block + 50)], buffer);
        Assert.Equal(3, store.Requests - before);
        Assert.Equal(3 * Block, cache.PresentBytes);
    }

    [Fact]
    public async Task Reading_on_takes_ever_larger_requests()
    {
        var bytes = Bytes(200 * Block, 3);
        var extent = await ShipAsync(bytes);
        using var cache = Cache();
        using var file = Open(cache, extent);
        var before = store.Requests;
        Assert.Equal(bytes, ReadAll(file));
        // 1 + 2 + 4 + .. + 64, then 64 each, and the list.
        Assert.InRange(store.Requests - before, 2, 12);
    }

    [Fact]
    public async Task Reading_all_over_a_file_asks_for_what_is_left_between()
    {
        const int blocks = 256, reads = 300;
        var bytes = Bytes(blocks * Block, 4);
        var extent = await ShipAsync(bytes);
        using var cache = Cache();
        using var file = Open(cache, extent);
        var (random, before, distinct) = (new Random(5), store.Requests, new HashSet<int>());
        var buffer = new byte[10];
        for (var i = 0; i < reads; i++)
        {
            var block = random.Next(blocks);
            distinct.Add(block);
            Assert.Equal(10, file.Read(block * Block + 7, buffer));
            Assert.Equal(bytes[(block * Block + 7)..(block * Block + 17)], buffer);
            // Of a file that is hardly read, a read is a block.
            if (i == 2) Assert.Equal(3 * Block, cache.PresentBytes);
        }
        Assert.InRange(store.Requests - before, 2, distinct.Count * 3 / 4);
        Assert.Equal(bytes, ReadAll(file));
    }

    [Fact]
    public async Task A_small_file_comes_whole_with_one_request()
    {
        var bytes = Bytes(6 * Block + 5, 6);
        var extent = await ShipAsync(bytes);
        Assert.True(extent.HasList);
        using var cache = Cache(new BlockCacheOptions { WholeBytes = 8 * Block });
        using var file = Open(cache, extent);
        var before = store.Requests;
        Assert.Equal(10, file.Read(3 * Block, new byte[10]));
        Assert.Equal(1, store.Requests - before);
        Assert.Equal(bytes, ReadAll(file));
        Assert.Equal(1, store.Requests - before);
        var other = await ShipAsync(Bytes(6 * Block, 7), 8);
        Change(other.Name, found => { found[Block] ^= 1; return found; });
        using var damaged = Open(cache, other);
        var error = Assert.Throws<RecoveryException>(() => damaged.Read(0, new byte[10]));
        Assert.Contains(other.Name, error.Message);
    }

    [Fact]
    public async Task Many_who_miss_one_block_wait_for_one_request()
    {
        var bytes = Bytes(40 * Block, 4);
        var extent = await ShipAsync(bytes);
        using var cache = Cache();
        using var file = Open(cache, extent);
        store.Faults = SimulatedFaults.None with { MaxLatency = TimeSpan.FromMilliseconds(200) };
        var before = store.Requests;
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            var buffer = new byte[10];
            Assert.Equal(10, await file.ReadAsync(9 * Block, buffer));
            Assert.Equal(bytes[(9 * Block)..(9 * Block + 10)], buffer);
        }));
        Assert.Equal(2, store.Requests - before);
    }

    [Fact]
    public async Task Requests_at_a_time_are_limited()
    {
        var bytes = Bytes(40 * Block, 5);
        var extent = await ShipAsync(bytes);
        using var cache = Cache(new BlockCacheOptions { Gets = 2, BlocksPerGet = 1 });
        using var file = Open(cache, extent);
        var counted = new CountingStore(store);
        using var counting = new BlockCache(context with { Store = counted },
            new BlockCacheOptions { Gets = 2, BlocksPerGet = 1 });
        using var watched = Open(counting, extent);
        store.Faults = SimulatedFaults.None with { MaxLatency = TimeSpan.FromMilliseconds(5) };
        await watched.FetchAsync(0, bytes.Length);
        Assert.Equal(2, counted.Most);
        Assert.True(watched.IsComplete && file.IsComplete);
    }

    [Fact]
    public async Task Without_a_list_all_of_it_comes_and_is_verified_and_ranges_come_after()
    {
        var bytes = Bytes(20 * Block + 7, 6);
        var extent = (await ShipAsync(bytes)) with { List = default };
        using var cache = Cache(new BlockCacheOptions { BudgetBytes = 8 * Block });
        using var file = Open(cache, extent);
        var before = store.Requests;
        var buffer = new byte[10];
        file.Read(3 * Block, buffer);
        Assert.Equal(bytes[(3 * Block)..(3 * Block + 10)], buffer);
        Assert.Equal(1, store.Requests - before);
        Assert.InRange(cache.PresentBytes, 1, 8 * Block);
        // What was given back comes alone: the list is known now.
        Assert.Equal(bytes, ReadAll(file));
    }

    [Fact]
    public async Task A_list_that_is_damaged_or_missing_costs_the_whole_extent_and_nothing_else()
    {
        foreach (var damage in new Action<string>[]
        {
            name => bucket.Delete(name),
            name => Change(name, b => { b[^1] ^= 1; return b; }),
            name => Change(name, b => b[..^32]),
        })
        {
            var bytes = Bytes(20 * Block, 7);
            var extent = await ShipAsync(bytes, 8);
            damage(extent.ListName);
            using (var cache = Cache())
            {
                using var file = Open(cache, extent);
                Assert.Equal(bytes, ReadAll(file));
                file.Remove();
            }
            bucket.Delete(extent.ListName);
            bucket.Delete(extent.Name);
        }
    }

    [Fact]
    public async Task A_flipped_block_is_an_error_that_names_object_and_range_and_its_neighbours_are_read()
    {
        var bytes = Bytes(40 * Block, 9);
        var extent = await ShipAsync(bytes);
        Change(extent.Name, b => { b[5 * Block + 3] ^= 8; return b; });
        using var cache = Cache();
        using var file = Open(cache, extent);
        await file.FetchAsync(0, Block);
        var e = await Assert.ThrowsAsync<RecoveryException>(async () => await file.FetchAsync(4 * Block, 3 * Block));
        Assert.Equal(RecoveryError.Corrupt, e.Error);
        Assert.Contains(extent.Name, e.Message);
        Assert.Contains($"{5 * Block} to {6 * Block - 1}", e.Message);
        var buffer = new byte[Block];
        Assert.Equal(Block, file.Read(4 * Block, buffer));
        Assert.Equal(bytes[(4 * Block)..(5 * Block)], buffer);
        Assert.Equal(Block, file.Read(6 * Block, buffer));
        Assert.Equal(bytes[(6 * Block)..(7 * Block)], buffer);
        Assert.Throws<RecoveryException>(() => file.Read(5 * Block, buffer));
        // It was mended: the next read succeeds.
        Change(extent.Name, b => { b[5 * Block + 3] ^= 8; return b; });
        Assert.Equal(Block, file.Read(5 * Block, buffer));
        Assert.Equal(bytes[(5 * Block)..(6 * Block)], buffer);
    }

    [Fact]
    public async Task A_missing_or_shorter_object_is_an_error_that_names_it()
    {
        var bytes = Bytes(40 * Block, 10);
        var extent = await ShipAsync(bytes);
        using var cache = Cache();
        using var file = Open(cache, extent);
        await file.FetchAsync(0, Block);
        Change(extent.Name, b => b[..(30 * Block)]);
        var e = Assert.Throws<RecoveryException>(() => file.Read(2 * Block, new byte[10]));
        Assert.Equal(RecoveryError.Remote, e.Error);
        Assert.Contains(extent.Name, e.Message);
        bucket.Delete(extent.Name);
        e = Assert.Throws<RecoveryException>(() => file.Read(2 * Block, new byte[10]));
        Assert.Equal(RecoveryError.Corrupt, e.Error);
        Assert.Contains(extent.Name, e.Message);
        Assert.Contains($"{2 * Block} to {3 * Block - 1}", e.Message);
        Assert.Equal(extent.Name, e.Path);
        Assert.Equal(10, file.Read(0, new byte[10]));
    }

    [Fact]
    public async Task Answers_that_end_early_are_taken_up_where_they_broke()
    {
        var bytes = Bytes(40 * Block, 11);
        var extent = await ShipAsync(bytes);
        store.Faults = SimulatedFaults.None with { Truncate = 0.4, Refuse = 0.1 };
        using var cache = new BlockCache(context with { Tries = 100 }, new BlockCacheOptions());
        using var file = Open(cache, extent);
        Assert.Equal(bytes, ReadAll(file));
    }

    [Fact]
    public async Task Without_the_network_what_is_here_answers_and_the_rest_is_an_error()
    {
        var bytes = Bytes(40 * Block, 12);
        var extent = await ShipAsync(bytes);
        using (var cache = Cache())
        using (var file = Open(cache, extent)) await file.FetchAsync(3 * Block, 5 * Block);
        store.IsDown = true;
        foreach (var boot in new[] { new BlockCacheOptions().BootId, Guid.NewGuid() })
        {
            using var cache = Cache(new BlockCacheOptions { BootId = boot });
            using var file = Open(cache, extent);
            Assert.Equal(5 * Block, cache.PresentBytes);
            var buffer = new byte[5 * Block];
            Assert.Equal(buffer.Length, file.Read(3 * Block, buffer));
            Assert.Equal(bytes[(3 * Block)..(8 * Block)], buffer);
            var e = Assert.Throws<RecoveryException>(() => file.Read(9 * Block, buffer));
            Assert.Equal(RecoveryError.Remote, e.Error);
            Assert.Contains(extent.Name, e.Message);
            Assert.True(e.IsTransient);
        }
    }

    [Fact]
    public async Task After_a_loss_of_power_what_was_lost_is_fetched_again()
    {
        var bytes = Bytes(40 * Block, 13);
        var extent = await ShipAsync(bytes);
        using (var cache = Cache(new BlockCacheOptions { BootId = Guid.NewGuid() }))
        using (var file = Open(cache, extent)) await file.FillAsync();
        using (var written = File.OpenWrite(Path.Combine(directory, "7.blob")))
        {
            written.Position = 6 * Block + 100;
            written.Write(new byte[5000]);
        }
        using var later = Cache(new BlockCacheOptions { BootId = Guid.NewGuid() });
        using var again = Open(later, extent);
        Assert.False(again.IsComplete);
        var before = store.Requests;
        Assert.Equal(bytes, ReadAll(again));
        Assert.Equal(1, store.Requests - before);
    }

    [Fact]
    public async Task The_budget_is_kept_and_the_least_recently_used_goes_first()
    {
        var one = Bytes(40 * Block, 14);
        var two = Bytes(40 * Block, 15);
        var (first, second) = (await ShipAsync(one), await ShipAsync(two, 8));
        using var cache = Cache(new BlockCacheOptions { BudgetBytes = 16 * Block });
        using var a = Open(cache, first);
        using var b = Open(cache, second);
        for (var i = 0; i < 20; i++)
        {
            await a.FetchAsync(0, Block);
            await b.FetchAsync(i * 2 * Block, Block);
            Assert.InRange(cache.PresentBytes, 0, 16 * Block);
        }
        store.IsDown = true;
        Assert.Equal(1, a.Read(0, new byte[1]));
        Assert.Equal(1, b.Read(38 * Block, new byte[1]));
        Assert.Throws<RecoveryException>(() => b.Read(0, new byte[1]));
        var allocated = new FileInfo(Path.Combine(directory, "8.blob"));
        Assert.Equal(40 * Block, allocated.Length);
    }

    [Fact]
    public async Task A_filled_file_becomes_an_ordinary_one()
    {
        var bytes = Bytes(40 * Block + 9, 16);
        var extent = await ShipAsync(bytes);
        using var cache = Cache();
        using (var file = Open(cache, extent))
        {
            Assert.False(file.Settle());
            await file.FillAsync();
            Assert.True(file.Settle());
        }
        Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(directory, "7.blob")));
        Assert.False(File.Exists(Path.Combine(directory, "7.record")));
        Assert.Equal(RecoveryError.Invalid, Assert.Throws<RecoveryException>(() => Open(cache, extent)).Error);
        Assert.False(File.Exists(Path.Combine(directory, "7.record")));
    }
}
