using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Followers of a real remote: equal to their writer at every commit, killed, left behind, promoted.</summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class FollowerTests : IDisposable
{
    static readonly CancellationToken Patience = new CancellationTokenSource(TimeSpan.FromMinutes(3)).Token;

    readonly string root = Path.Combine(Path.GetTempPath(), "follower-" + Guid.NewGuid().ToString("N"));
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    Random random = new();

    public void Dispose() => Directory.Delete(root, recursive: true);

    string Url => "file://" + Path.Combine(root, "bucket");

    StoreOptions Options(string name, bool remote = true, bool collect = false) => new()
    {
        Directory = Path.Combine(root, name),
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = !remote ? null : new RemoteOptions
        {
            Url = Url,
            SyncInterval = TimeSpan.FromMilliseconds(5),
            Retention = collect ? new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero } : new Retention(),
        },
    };

    FollowerOptions Following(string name, bool pin = false) => new()
    {
        Url = Url,
        Store = Options(name, remote: false),
        Interval = TimeSpan.FromMilliseconds(20),
        SettleInterval = TimeSpan.FromMilliseconds(200),
        PinExpiry = pin ? TimeSpan.FromDays(1) : TimeSpan.Zero,
    };

    Task Seeded(Func<Task> run, [System.Runtime.CompilerServices.CallerMemberName] string name = "") => Seeds.OnceAsync(seeded =>
    {
        random = seeded;
        return run();
    }, name);

    ulong Write(Store writer, int transactions)
    {
        for (var i = 0; i < transactions; i++) StoreTests.Transaction(random, writer, model);
        var lsn = writer.Lsn.Last;
        if (lsn > 0) writer.WaitShipped(lsn);
        return lsn;
    }

    async Task Compare(Follower follower, ulong lsn)
    {
        await follower.WaitForAsync(lsn, Patience);
        using var reader = follower.Read();
        Assert.Equal(model.Where(m => m.Value.Length > 0).Select(m => m.Key), reader.Databases);
        foreach (var (name, content) in model)
        {
            using var version = reader.Pin(name)!;
            var bytes = new byte[version.SizeBytes];
            Assert.Equal(bytes.Length, version.Read(0, bytes));
            if (content.Length >= 20 && content[18] == 2) bytes[18] = 2;
            if (content.Length >= 20 && content[19] == 2) bytes[19] = 2;
            Assert.Equal(content, bytes);
        }
        Assert.Empty(reader.Verify(null));
    }

    [Fact]
    public Task A_follower_equals_its_writer_at_every_commit_and_after_every_kill() => Seeded(async () =>
    {
        using var writer = Store.Open(Options("writer"));
        Write(writer, 5);
        var follower = await Follower.StartAsync(Following("follower"), Patience);
        try
        {
            for (var i = 0; i < 60; i++)
            {
                var lsn = Write(writer, random.Next(4) == 0 ? 10 : 1);
                await Compare(follower, lsn);
                if (random.Next(8) == 0) await writer.Remote!.PublishHintsAsync();
                if (random.Next(6) != 0) continue;
                if (random.Next(2) == 0) await follower.DisposeAsync();
                else await Kill(follower);
                if (random.Next(2) == 0) Write(writer, random.Next(5));
                follower = await Follower.StartAsync(Following("follower"), Patience);
                Assert.Equal(0, follower.State.StartedOver);
            }
            await Compare(follower, Write(writer, 20));
        }
        finally
        {
            await follower.DisposeAsync();
        }
    });

    async Task Kill(Follower follower)
    {
        var directory = follower.Directory;
        StoreTests.CopyStore(follower.Replica!, directory + "-copy");
        await follower.DisposeAsync();
        Directory.Delete(directory, recursive: true);
        Directory.Move(directory + "-copy", directory);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task A_follower_that_was_away_goes_on_with_a_pin_and_starts_over_without(bool pin) => Seeded(async () =>
    {
        using var writer = Store.Open(Options("writer", collect: true));
        var lsn = Write(writer, 20);
        await writer.Remote!.PublishHintsAsync();
        var follower = await Follower.StartAsync(Following("follower", pin), Patience);
        await Compare(follower, lsn);
        await follower.CaughtUpAsync(Patience);
        await follower.DisposeAsync();
        for (var i = 0; i < 3; i++)
        {
            lsn = Write(writer, 20);
            await writer.Remote.PublishHintsAsync();
        }
        var plan = await writer.Remote.CollectAsync();
        Assert.True(pin || plan.Deletions.Any(d => d.Name.StartsWith("log/", StringComparison.Ordinal)));
        await using var again = await Follower.StartAsync(Following("follower", pin), Patience);
        await Compare(again, lsn);
        Assert.Equal(pin ? 0 : 1, again.State.StartedOver);
        await Compare(again, Write(writer, 10));
    });

    [Fact]
    public Task Promotion_goes_back_and_forth_and_fences_the_writer_before() => Seeded(async () =>
    {
        var writer = Store.Open(Options("site0"));
        try
        {
            for (var round = 1; round <= 3; round++)
            {
                var name = $"site{round}";
                var lsn = Write(writer, 10);
                var follower = await Follower.StartAsync(Following(name), Patience);
                await Compare(follower, lsn);
                using (follower.Read())
                    Assert.Equal(RecoveryError.Busy, (await Assert.ThrowsAsync<RecoveryException>(() => follower.PromoteAsync(Patience))).Error);
                lsn = Write(writer, 5);
                var promotion = await follower.PromoteAsync(Patience);
                // At least: what RocksDB does to its files makes records, too.
                Assert.InRange(promotion.Lsn, lsn, lsn + 1000);
                Assert.Equal((ulong)round + 1, promotion.Epoch);
                var old = writer;
                writer = Store.Open(Options(name));
                Assert.Equal(promotion.Epoch, writer.Log.Epoch);
                StoreTests.Compare(writer, model);
                Write(writer, 5);
                var fenced = Assert.Throws<RecoveryException>(() => old.WaitShipped(Zombie(old)));
                Assert.Equal(RecoveryError.Fenced, fenced.Error);
                old.Dispose();
            }
            await using var last = await Follower.StartAsync(Following("last"), Patience);
            await Compare(last, Write(writer, 5));
        }
        finally
        {
            writer.Dispose();
        }
    });

    static ulong Zombie(Store old)
    {
        var database = old.Create("zombie.db");
        using var overlay = old.BeginOverlay(database, database.Current);
        overlay.Write(0, new byte[512]);
        return old.Commit([overlay], durable: true);
    }

    [Fact]
    public Task A_pinned_version_never_changes_while_the_follower_goes_on() => Seeded(async () =>
    {
        using var writer = Store.Open(Options("writer"));
        Write(writer, 3);
        await using var follower = await Follower.StartAsync(Following("follower") with { SettleBytes = 1 << 16 }, Patience);
        var kept = new List<(FollowedVersion Version, byte[] Content)>();
        using var reader = follower.Read();
        for (var i = 0; i < 40; i++)
        {
            await follower.WaitForAsync(Write(writer, 5), Patience);
            foreach (var name in reader.Databases.Where(_ => random.Next(3) == 0))
                if (reader.Pin(name) is { } version) kept.Add((version, ReadAll(version)));
            foreach (var (version, content) in kept) Assert.Equal(content, ReadAll(version));
        }
        foreach (var (version, _) in kept) version.Dispose();
    });

    static byte[] ReadAll(FollowedVersion version)
    {
        var bytes = new byte[version.SizeBytes];
        Assert.Equal(bytes.Length, version.Read(0, bytes));
        return bytes;
    }

    [Fact]
    public async Task A_directory_that_holds_something_else_is_left_alone()
    {
        using (var writer = Store.Open(Options("writer"))) Write(writer, 3);
        foreach (var name in (string[])["writer", "other"])
        {
            Directory.CreateDirectory(Path.Combine(root, name));
            await File.WriteAllTextAsync(Path.Combine(root, name, "precious"), "x");
            var refused = await Assert.ThrowsAsync<RecoveryException>(() => Follower.StartAsync(Following(name), Patience));
            Assert.Equal(RecoveryError.Invalid, refused.Error);
            Assert.True(File.Exists(Path.Combine(root, name, "precious")));
        }
    }
}
