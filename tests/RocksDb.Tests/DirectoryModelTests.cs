using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.FollowedDirectories;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Testing;

/// <summary>
/// Directories against a model that knows what each file had at each LSN: of restores to every LSN, of followers where
/// they stand, and of what is there after one process took over from another, which writes on for a while.
/// </summary>
public sealed class DirectoryModelTests : IDisposable
{
    readonly Site site = new();
    readonly SortedList<ulong, SortedDictionary<string, byte[]>> history = [];

    public void Dispose() => site.Dispose();

    RemoteOptions Remote => new() { Url = site.Url, SyncInterval = TimeSpan.FromMilliseconds(10) };

    FollowerOptions Follow(string name) => new()
    {
        Url = site.Url,
        Store = new StoreOptions { Directory = StoreHome.Within(site.At(name)) },
        Interval = TimeSpan.FromMilliseconds(10),
        PinExpiry = TimeSpan.Zero,
    };

    /// <summary>
    /// Tables are told of when they are sealed. Told earlier, they were missing in hints that came before, and so in
    /// all that was restored from these.
    /// </summary>
    [Fact]
    public async Task A_table_that_was_begun_before_hints_and_ended_after_them_is_restored()
    {
        await using var toy = new ToyRocksDb(site.Path, Remote, new Random(1));
        toy.Create("000001.log");
        await ShipAsync(toy);
        toy.Create("000007.sst");
        toy.Append("000007.sst", [1, 2, 3]);
        await ShipAsync(toy);
        await toy.Directory.Remote!.Log.PublishHintsAsync(default);
        toy.Append("000007.sst", [4, 5]);
        toy.Seal("000007.sst");
        await ShipAsync(toy);
        var (restored, _) = await site.RestoreAsync();
        Same(toy.Files, ToyRocksDb.FilesOf(restored), "restored");
        Assert.Contains("000007.sst", toy.Files.Keys);
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void Every_state_is_the_models_whoever_writes() => Seeds.Run(2, random =>
    {
        using var test = new DirectoryModelTests();
        test.RunAsync(random).GetAwaiter().GetResult();
    });

    /// <summary>One process takes over from another after so many steps, the same ones each time.</summary>
    [Fact]
    public async Task A_take_over_has_what_was_shipped_wherever_it_comes()
    {
        for (var steps = 0; steps < 12; steps += 2)
        {
            using var test = new DirectoryModelTests();
            var random = new Random(4711);
            await using var old = await test.BeginAsync(random);
            await using var follower = await DirectoryFollower.StartAsync(test.Follow("next"));
            for (var step = 0; step < steps; step++) test.Step(old);
            await using var next = await test.PromoteAsync(follower, "next", random);
            await test.CheckZombieAsync(old, next);
        }
    }

    async Task RunAsync(Random random)
    {
        var writer = await BeginAsync(random);
        await using var watching = await DirectoryFollower.StartAsync(Follow("watching"));
        for (var tenure = 1; tenure <= 3; tenure++)
        {
            var follower = await DirectoryFollower.StartAsync(Follow($"tenure-{tenure}"));
            for (var step = random.Next(1, 30); step > 0; step--)
            {
                var lsn = Step(writer);
                if (random.Next(6) == 0) await writer.Directory.Remote!.Log.PublishHintsAsync(default);
                if (random.Next(5) != 0) continue;
                await ShipAsync(writer);
                foreach (var one in (DirectoryFollower[])[watching, follower])
                {
                    await one.Running.WaitForAsync(lsn, default);
                    Check(one);
                }
            }
            var next = await PromoteAsync(follower, $"tenure-{tenure}", random);
            await follower.DisposeAsync();
            await CheckZombieAsync(writer, next);
            await writer.DisposeAsync();
            writer = next;
        }
        await ShipAsync(writer);
        await writer.DisposeAsync();
        await RestoreAllAsync(random);
    }

    async Task<ToyRocksDb> BeginAsync(Random random)
    {
        var toy = new ToyRocksDb(site.Path, Remote, random);
        while (!toy.Files.ContainsKey("CURRENT")) Step(toy);
        await ShipAsync(toy);
        return toy;
    }

    ulong Step(ToyRocksDb toy)
    {
        var lsn = toy.Step();
        history[lsn] = toy.Files;
        return lsn;
    }

    static async Task ShipAsync(ToyRocksDb toy) => await toy.Directory.Remote!.WhenRestorableAsync(
        toy.Directory.WriteOut(), TimeSpan.FromMinutes(5), default);

    /// <summary>The newest state that the model knows up to an LSN: between two nothing is to be seen.</summary>
    SortedDictionary<string, byte[]> ModelAt(ulong lsn) => history.Last(h => h.Key <= lsn).Value;

    void Check(DirectoryFollower follower)
    {
        var (lsn, files) = follower.Read(at => (at, ToyRocksDb.FilesOf(
            DirectoryFollower.DirectoryOf(new StoreHome(follower.Running.Directory)))), out var ended);
        ended();
        // It keeps what the state before had.
        var model = ModelAt(lsn);
        Same(model, new(files.Where(f => model.ContainsKey(f.Key)).ToDictionary(), StringComparer.Ordinal),
            $"followed, at LSN {lsn}");
    }

    /// <summary>
    /// The next writer has what the model had when the old one was fenced; the model goes on from there.
    /// </summary>
    async Task<ToyRocksDb> PromoteAsync(DirectoryFollower follower, string name, Random random)
    {
        var promotion = await follower.Running.PromoteAsync();
        foreach (var unshipped in history.Keys.Where(k => k > promotion.Lsn).ToList()) history.Remove(unshipped);
        Same(ModelAt(promotion.Lsn), ToyRocksDb.FilesOf(site.At(name)), $"promoted at LSN {promotion.Lsn}");
        var next = new ToyRocksDb(site.At(name), Remote, random);
        history[next.Directory.WriteOut()] = next.Files;
        return next;
    }

    /// <summary>What the old writer still does is nowhere to be seen.</summary>
    async Task CheckZombieAsync(ToyRocksDb old, ToyRocksDb next)
    {
        for (var step = 0; step < 5; step++)
        {
            try
            {
                old.Step();
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Fenced)
            {
                break;
            }
            Step(next);
        }
        await ShipAsync(next);
        var (restored, result) = await site.RestoreAsync();
        Same(ModelAt(result.Lsn), ToyRocksDb.FilesOf(restored), $"restored at LSN {result.Lsn}");
        Assert.True(result.Lsn >= history.Keys[^1] - 1, $"restored LSN {result.Lsn} of {history.Keys[^1]}");
        Directory.Delete(restored, recursive: true);
    }

    /// <summary>Each LSN is the model's state, or lacks a table that died before it was shipped.</summary>
    async Task RestoreAllAsync(Random random)
    {
        await using var objects = RemoteUrl.Parse(site.Url).Open(readOnly: true, TimeProvider.System);
        var context = new RemoteContext { Store = objects };
        foreach (var (lsn, model) in history.Where(_ => Seeds.Soaking || random.Next(3) == 0))
        {
            var into = site.At($"at-{lsn}");
            try
            {
                var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.At(lsn));
                await DirectoryRestore.RestoreAsync(plan, into);
                Same(model, ToyRocksDb.FilesOf(into), $"restored to LSN {lsn}");
                Directory.Delete(into, recursive: true);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
            {
                Assert.True(model.Keys.Any(name => e.Message.Contains($"does not have {name} ",
                    StringComparison.Ordinal)), e.Message);
            }
        }
    }

    static void Same(SortedDictionary<string, byte[]> expected, SortedDictionary<string, byte[]> actual, string what)
    {
        Assert.True(expected.Keys.SequenceEqual(actual.Keys),
            $"{what}: {string.Join(' ', actual.Keys)}, and the model has {string.Join(' ', expected.Keys)}");
        foreach (var (name, bytes) in expected)
            Assert.True(bytes.AsSpan().SequenceEqual(actual[name]), $"{what}: {name} differs");
    }
}
