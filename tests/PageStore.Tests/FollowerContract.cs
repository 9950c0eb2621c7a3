using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Followers of a real remote: equal to their writer at every commit, killed, left behind, cut off, promoted.
/// </summary>
public abstract class FollowerContract : IDisposable
{
    /// <summary>Of one test: xUnit makes an object for each.</summary>
    protected readonly CancellationToken Patience = new CancellationTokenSource(TimeSpan.FromMinutes(6)).Token;

    readonly string root = Path.Combine(Path.GetTempPath(), "follower-" + Guid.NewGuid().ToString("N"));
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    readonly ConcurrentDictionary<(string Name, ulong Lsn), UInt128> history = [];
    Random random = new();

    public virtual void Dispose() => Directory.Delete(root, recursive: true);

    protected string Root => root;

    /// <summary>Where the writer ships to; the same at each call.</summary>
    protected abstract string Url { get; }

    /// <summary>An outage: nothing can be read or written.</summary>
    protected abstract void StopRemote();

    protected abstract void StartRemote();

    /// <summary>When the pages of a new follower come.</summary>
    protected virtual FetchMode Fetch => FetchMode.All;

    /// <summary>How many rounds a test may take: requests to a server cost.</summary>
    protected abstract int Rounds { get; }

    StoreOptions Options(string name, bool remote = true, bool collect = false) => new()
    {
        Directory = Path.Combine(root, name),
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = !remote ? null : new RemoteOptions
        {
            Url = Url,
            SyncInterval = TimeSpan.FromMilliseconds(5),
            Retention = collect
                ? new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero }
                : new Retention(),
        },
    };

    protected FollowerOptions Following(string name, bool pin = false) => new()
    {
        Url = Url,
        Store = Options(name, remote: false),
        Interval = TimeSpan.FromMilliseconds(20),
        SettleInterval = TimeSpan.FromMilliseconds(200),
        PinExpiry = pin ? TimeSpan.FromDays(1) : TimeSpan.Zero,
        Fetch = Fetch,
    };

    protected Task Seeded(Func<Task> run,
        [System.Runtime.CompilerServices.CallerMemberName] string name = "") => Seeds.OnceAsync(seeded =>
    {
        random = seeded;
        return run();
    }, name);

    private protected Store OpenWriter(string name = "writer", bool collect = false)
        => Store.Open(Options(name, collect: collect));

    /// <summary>Commits, notes what each database is then, and waits until the remote has it.</summary>
    private protected ulong Write(Store writer, int transactions)
    {
        for (var i = 0; i < transactions; i++)
        {
            StoreTests.Transaction(random, writer, model);
            foreach (var database in writer.Databases)
                if (model.TryGetValue(database.Name, out var content))
                    history.TryAdd((database.Name, database.Current.Lsn), HashOf(content));
        }
        var lsn = writer.Lsn.Last;
        if (lsn > 0) writer.WaitRestorable(lsn);
        return lsn;
    }

    /// <summary>Of what a follower shows, which never says WAL mode.</summary>
    static UInt128 HashOf(ReadOnlySpan<byte> content)
    {
        var shown = content.ToArray();
        for (var at = 18; at < 20 && at < shown.Length; at++) if (shown[at] == 2) shown[at] = 1;
        return BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(shown));
    }

    /// <summary>
    /// Reads a follower all the time until the test ends: whatever it sees is what the writer had at that LSN.
    /// </summary>
    async Task<long> ReadAlongAsync(Func<Follower> follower, CancellationToken stop)
    {
        var compared = 0L;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var reader = follower().Read();
                foreach (var name in reader.Databases)
                {
                    using var version = reader.Pin(name);
                    if (version is null || version.SizeBytes == 0) continue;
                    var content = ReadAll(version);
                    if (!history.TryGetValue((name, version.Lsn), out var expected)) continue;
                    if (HashOf(content) != expected)
                        throw new InvalidOperationException($"{name} at LSN {version.Lsn} is not what the writer had.");
                    compared++;
                }
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Busy)
            {
                // Starting over, or between two lives.
            }
            await Task.Yield();
        }
        return compared;
    }

    protected async Task Compare(Follower follower, ulong lsn)
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
        using var writer = OpenWriter();
        Write(writer, 5);
        var follower = await Follower.StartAsync(Following("follower"), Patience);
        try
        {
            for (var i = 0; i < Rounds; i++)
            {
                var lsn = Write(writer, random.Next(4) == 0 ? 10 : 1);
                await Compare(follower, lsn);
                if (random.Next(8) == 0) await writer.Remote!.PublishHintsAsync();
                if (random.Next(6) != 0) continue;
                if (random.Next(2) == 0) await follower.DisposeAsync();
                else await Killed.KillAsync(follower);
                if (random.Next(2) == 0) Write(writer, random.Next(5));
                follower = await Follower.StartAsync(Following("follower"), Patience);
                await follower.CaughtUpAsync(Patience);
                Assert.Equal(0, follower.State.StartedOver);
            }
            await Compare(follower, Write(writer, 20));
        }
        finally
        {
            await follower.DisposeAsync();
        }
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task A_follower_that_was_away_goes_on_with_a_pin_and_starts_over_without(bool pin) => Seeded(async () =>
    {
        using var writer = OpenWriter(collect: true);
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
        using var enough = new CancellationTokenSource();
        var reading = Task.Run(() => ReadAlongAsync(() => again, enough.Token));
        await Compare(again, lsn);
        Assert.Equal(pin ? 0 : 1, again.State.StartedOver);
        await Compare(again, Write(writer, 10));
        enough.Cancel();
        Assert.True(await reading > 0);
    });

    [Fact]
    public Task A_follower_whose_place_is_collected_while_it_begins_never_says_that_it_has_caught_up() => Seeded(
        async () =>
    {
        using var writer = OpenWriter(collect: true);
        var lsn = Write(writer, 20);
        // Between finding that there are no hints yet, and reading the log from its beginning.
        var began = 0;
        await using var objects = RemoteUrl.Parse(Url).Open();
        await using var follower = await Follower.StartAsync(Following("follower") with
        {
            Open = () => new WatchedStore(objects, async name =>
        {
            if (!name.StartsWith("log/", StringComparison.Ordinal) || Interlocked.Exchange(ref began, 1) != 0) return;
            await writer.Remote!.PublishHintsAsync();
            await writer.Remote.CollectAsync();
        })
        }, Patience);
        await follower.CaughtUpAsync(Patience);
        await Compare(follower, lsn);
    });

    [Fact]
    public Task A_follower_starts_without_its_remote_serves_what_it_has_and_catches_up() => Seeded(async () =>
    {
        using var writer = OpenWriter();
        var lsn = Write(writer, 20);
        await writer.Remote!.PublishHintsAsync();
        await using (var first = await Follower.StartAsync(Following("follower"), Patience))
        {
            await Compare(first, lsn);
            await first.CaughtUpAsync(Patience);
        }
        StopRemote();
        await using var follower = await Follower.StartAsync(Following("follower"), Patience);
        await follower.ReadableAsync(TimeSpan.FromSeconds(5), Patience);
        await Compare(follower, lsn);
        await follower.WhenAsync(s => s.Phase == FollowerPhase.Interrupted && s.LastError is not null, Patience);
        Assert.True(follower.State.Lag > TimeSpan.Zero);
        StartRemote();
        await Compare(follower, Write(writer, 10));
        await follower.CaughtUpAsync(Patience);
        Assert.Equal((TimeSpan.Zero, 0, null),
            (follower.State.Lag, follower.State.StartedOver, follower.State.LastError));
    });

    [Fact]
    public Task A_follower_killed_in_the_middle_shows_nothing_before_it_is_whole_again() => Seeded(async () =>
    {
        using var writer = OpenWriter();
        Write(writer, 10);
        await writer.Remote!.PublishHintsAsync();
        var options = Following("follower") with { SettleInterval = TimeSpan.FromHours(1) };
        var first = await Follower.StartAsync(options, Patience);
        await Compare(first, Write(writer, 20));
        await Killed.KillAsync(first);
        StopRemote();
        await using var follower = await Follower.StartAsync(options, Patience);
        await follower.WhenAsync(s => s.Phase == FollowerPhase.Interrupted, Patience);
        // Its copy of the log may reach as far as what it had applied: then it is whole by itself.
        try { follower.Read().Dispose(); }
        catch (RecoveryException e) { Assert.Equal(RecoveryError.Busy, e.Error); }
        await ReadAlongAsync(() => follower, new CancellationTokenSource(TimeSpan.FromMilliseconds(200)).Token);
        StartRemote();
        await follower.ReadableAsync(TimeSpan.FromSeconds(5), Patience);
        await Compare(follower, Write(writer, 5));
    });

    [Fact]
    public Task A_promotion_is_refused_when_the_end_of_the_log_cannot_be_read() => Seeded(async () =>
    {
        using (var writer = OpenWriter())
        {
            var lsn = Write(writer, 20);
            var follower = await Follower.StartAsync(Following("follower"), Patience);
            await Compare(follower, lsn);
            StopRemote();
            var refused = await Assert.ThrowsAsync<RecoveryException>(() => follower.PromoteAsync(Patience));
            Assert.Contains($"was last known to have LSN {follower.State.Lsn}", refused.Message);
            StartRemote();
            Write(writer, 5);
            await using var again = await Follower.StartAsync(Following("follower"), Patience);
            await Compare(again, Write(writer, 5));
            Assert.True((await again.PromoteAsync(Patience)).Lsn > lsn);
        }
        using var promoted = OpenWriter("follower");
        StoreTests.Compare(promoted, model);
    });

    [Fact]
    public Task A_follower_that_is_far_behind_is_promoted_at_once() => Seeded(async () =>
    {
        using (var writer = OpenWriter())
        {
            Write(writer, 1);
            await writer.Remote!.PublishHintsAsync();
            for (var i = 0; i < 3 * Rounds; i++) Write(writer, 1);
            var follower = await Follower.StartAsync(Following("follower"), Patience);
            await follower.PromoteAsync(Patience);
        }
        using var promoted = OpenWriter("follower");
        StoreTests.Compare(promoted, model);
        Write(promoted, 5);
    });

    [Fact]
    public Task Promotion_goes_back_and_forth_and_fences_the_writer_before() => Seeded(async () =>
    {
        var writer = OpenWriter("site0");
        try
        {
            for (var round = 1; round <= 3; round++)
            {
                var name = $"site{round}";
                var lsn = Write(writer, 10);
                var follower = await Follower.StartAsync(Following(name), Patience);
                await Compare(follower, lsn);
                using (follower.Read())
                    Assert.Equal(RecoveryError.Busy,
                        (await Assert.ThrowsAsync<RecoveryException>(() => follower.PromoteAsync(Patience))).Error);
                lsn = Write(writer, 5);
                var promotion = await follower.PromoteAsync(Patience);
                // At least: what RocksDB does to its files makes records, too.
                Assert.InRange(promotion.Lsn, lsn, lsn + 1000);
                Assert.Equal((ulong)round + 1, promotion.Epoch);
                var old = writer;
                writer = OpenWriter(name);
                Assert.Equal(promotion.Epoch, writer.Log.Epoch);
                StoreTests.Compare(writer, model);
                Write(writer, 5);
                var fenced = Assert.Throws<RecoveryException>(() => old.WaitRestorable(Zombie(old)));
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
        using var writer = OpenWriter();
        Write(writer, 3);
        await using var follower =
            await Follower.StartAsync(Following("follower") with { SettleBytes = 1 << 16 }, Patience);
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
            var refused =
                await Assert.ThrowsAsync<RecoveryException>(() => Follower.StartAsync(Following(name), Patience));
            Assert.Equal(RecoveryError.Invalid, refused.Error);
            Assert.True(File.Exists(Path.Combine(root, name, "precious")));
        }
    }
}
