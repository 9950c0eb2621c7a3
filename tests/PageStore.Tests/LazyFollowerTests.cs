using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Followers whose pages come when they are read: what they fetch, and what becomes of them without their remote.
/// </summary>
public abstract class LazyFollowerTests(IRemotePlaces places) : IDisposable
{
    const int PageSize = 4096, Pages = 200, Databases = 4;

    readonly CancellationToken patience = new CancellationTokenSource(TimeSpan.FromMinutes(3)).Token;
    readonly TempDirectory root = new();
    readonly Dictionary<string, byte[]> model = [];
    RemotePlace remote = null!;
    bool isAway;

    public void Dispose() => root.Dispose();

    static string NameOf(int number) => $"d{number}.db";

    StoreOptions Options(string name) => new() { Directory = root[name], PageCacheBytes = 1 << 20 };

    FollowerOptions Following(FetchMode fetch = FetchMode.Lazy) => new()
    {
        Url = remote.Url,
        Store = Options("follower"),
        Interval = TimeSpan.FromMilliseconds(20),
        PinExpiry = TimeSpan.FromDays(1),
        Fetch = fetch,
        Open = () => new CutOffStore(remote.Open(), () => isAway),
    };

    /// <summary>A writer with some databases, each in a blob file of its own, and hints that name them.</summary>
    async Task<Store> WriteAsync()
    {
        remote = await places.NewAsync();
        var writer = Store.Open(Options("writer") with
        {
            Remote = remote.Options with
            {
                Retention = new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero },
            },
        });
        for (var i = 0; i < Databases; i++)
        {
            Write(writer, i, Pages);
            await writer.Remote!.PublishHintsAsync(patience);
        }
        return writer;
    }

    ulong Write(Store writer, int number, int pages)
    {
        var name = NameOf(number);
        var database = writer.Find(name) ?? writer.Create(name);
        var content = model.TryGetValue(name, out var before) ? before.ToArray() : new byte[Pages * PageSize];
        var random = new Random(content.AsSpan(content.Length - 1)[0] * 31 + number);
        random.NextBytes(content.AsSpan(0, pages * PageSize));
        using var overlay = writer.BeginOverlay(database, database.Current);
        for (var page = 0; page < pages; page++)
            overlay.Write(page * PageSize, content.AsSpan(page * PageSize, PageSize));
        var lsn = writer.Commit([overlay], durable: true);
        model[name] = content;
        writer.WaitRestorable(lsn);
        return lsn;
    }

    void Compare(Follower follower, int number)
    {
        using var reader = follower.Read();
        using var version = reader.Pin(NameOf(number))!;
        var bytes = new byte[version.SizeBytes];
        Assert.Equal(bytes.Length, version.Read(0, bytes));
        Assert.Equal(model[NameOf(number)], bytes);
    }

    RecoveryException Refused(Follower follower, int number) =>
        Assert.Throws<RecoveryException>(() => Compare(follower, number));

    static async Task<string> LargestAsync(RemotePlace remote, int nth)
    {
        await using var objects = remote.Open();
        var extents = new List<ObjectInfo>();
        await foreach (var entry in objects.ListAsync("extents/")) extents.Add(entry);
        return extents.OrderByDescending(e => e.SizeBytes).ThenBy(e => e.Name, StringComparer.Ordinal)
            .Take(Databases).OrderBy(e => e.Name, StringComparer.Ordinal).ElementAt(nth).Name;
    }

    [Fact]
    public async Task It_fetches_what_is_read_and_is_an_ordinary_follower_when_all_was()
    {
        using var writer = await WriteAsync();
        await using (var follower = await Follower.StartAsync(Following(), patience))
        {
            await follower.CaughtUpAsync(patience);
            Assert.Equal((0, Databases), (follower.Fetched!.Value.FilesHere, follower.Fetched.Value.Files));
            Assert.Equal(0, follower.Fetched.Value.BytesHere);
            using (var reader = follower.Read())
            using (var version = reader.Pin(NameOf(0))!)
                version.Read(PageSize * 7, new byte[PageSize]);
            // One page brings some blocks, not its file.
            Assert.InRange(follower.Fetched.Value.BytesHere, 1, follower.Fetched.Value.Bytes / Databases / 2);
            Compare(follower, 1);
            Assert.Equal(1, follower.Fetched!.Value.FilesHere);
            var (here, all) = (follower.Fetched.Value.BytesHere, follower.Fetched.Value.Bytes);
            Assert.InRange(here, 1, all / 2);
            Assert.True(Options("follower").Home.IsLazy);
            for (var i = 0; i < Databases; i++) Compare(follower, i);
            await follower.FetchAllAsync(patience);
            Assert.Equal(follower.Fetched!.Value.Bytes, follower.Fetched.Value.BytesHere);
            Assert.False(Options("follower").Home.IsLazy);
            // The pin of the hints goes; that of the log stays.
            await Until.IsTrue(() => remote.NamesAsync("pins/").Result.Count == 1);
        }
        isAway = true;
        await using var again = await Follower.StartAsync(Following(), patience);
        await again.ReadableAsync(TimeSpan.FromMilliseconds(300), patience);
        Assert.Null(again.Fetched);
        for (var i = 0; i < Databases; i++) Compare(again, i);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_its_remote_it_answers_from_what_is_here_and_says_why_the_rest_is_not(bool killed)
    {
        using var writer = await WriteAsync();
        var follower = await Follower.StartAsync(Following(), patience);
        try
        {
            await follower.CaughtUpAsync(patience);
            Compare(follower, 2);
            isAway = true;
            if (killed)
            {
                await Killed.KillAsync(follower);
                follower = await Follower.StartAsync(Following(), patience);
                await follower.ReadableAsync(TimeSpan.FromMilliseconds(300), patience);
            }
            Compare(follower, 2);
            var refused = Refused(follower, 0);
            Assert.Equal(RecoveryError.Remote, refused.Error);
            Assert.True(refused.IsTransient);
            Assert.Contains("cut by a test", refused.Message);
            Assert.Contains("are not here", refused.Message);
            Compare(follower, 2);
            isAway = false;
            Compare(follower, 0);
            await follower.WaitForAsync(Write(writer, 3, 5), patience);
            Compare(follower, 3);
            Assert.Equal(0, follower.State.StartedOver);
        }
        finally
        {
            await follower.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_commit_that_changes_what_is_not_here_waits_for_the_remote_and_readers_go_on()
    {
        using var writer = await WriteAsync();
        await using var follower = await Follower.StartAsync(Following(), patience);
        await follower.CaughtUpAsync(patience);
        Compare(follower, 2);
        var before = model[NameOf(1)];
        // The log can be read, and extents cannot.
        var fetching = 0;
        await using var objects = remote.Open();
        await follower.DisposeAsync();
        isAway = false;
        var cut = true;
        await using var again = await Follower.StartAsync(Following() with
        {
            Open = () => new WatchedStore(objects, name =>
            {
                if (!cut || !name.StartsWith("extents/", StringComparison.Ordinal)) return Task.CompletedTask;
                Interlocked.Increment(ref fetching);
                throw new ObjectStoreException(ObjectStoreError.Unavailable, "cut by a test");
            }),
        }, patience);
        await again.CaughtUpAsync(patience);
        var lsn = Write(writer, 1, 3);
        await again.WhenAsync(s => s.Phase == FollowerPhase.Interrupted, patience);
        Assert.True(fetching > 0);
        Compare(again, 2);
        cut = false;
        await again.WaitForAsync(lsn, patience);
        Compare(again, 1);
        Assert.NotEqual(before, model[NameOf(1)]);
        Assert.Equal(0, again.State.StartedOver);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_missing_or_damaged_extent_is_named_and_newer_hints_help(bool missing)
    {
        using var writer = await WriteAsync();
        await using var follower = await Follower.StartAsync(Following(), patience);
        await follower.CaughtUpAsync(patience);
        var name = await LargestAsync(remote, 0);
        if (missing)
        {
            await using var objects = remote.Open();
            await objects.DeleteAsync([name]);
        }
        else await remote.DamageAsync(name);
        var refusals = Enumerable.Range(0, Databases).Select(i => Record.Exception(() => Compare(follower, i)))
            .Where(e => e is not null).Cast<RecoveryException>().ToList();
        Assert.NotEmpty(refusals);
        Assert.All(refusals, e => Assert.Equal(RecoveryError.Corrupt, e.Error));
        Assert.All(refusals, e => Assert.Contains(name, e.Message));
        // What the writer has is whole, and after a compaction all of it is in other files.
        writer.Compact(patience);
        await writer.Remote!.PublishHintsAsync(patience);
        await follower.WhenAsync(s => s.StartedOver > 0, patience);
        await follower.WaitForAsync(writer.Lsn.Last, patience);
        await follower.CaughtUpAsync(patience);
        for (var i = 0; i < Databases; i++) Compare(follower, i);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Collection_leaves_what_it_has_not_fetched_yet(bool pin)
    {
        using var writer = await WriteAsync();
        var follower = await Follower.StartAsync(Following() with
        {
            PinExpiry = pin ? TimeSpan.FromDays(1) : TimeSpan.Zero
        }, patience);
        try
        {
            await follower.CaughtUpAsync(patience);
            var lsn = 0UL;
            for (var i = 0; i < Databases; i++) lsn = Write(writer, i, Pages);
            await follower.WaitForAsync(lsn, patience);
            writer.Compact(patience);
            await writer.Remote!.PublishHintsAsync(patience);
            lsn = Write(writer, 0, 1);
            await writer.Remote.PublishHintsAsync(patience);
            var plan = await writer.Remote.CollectAsync();
            var gone = plan.Deletions.Count(d => d.Name.StartsWith("extents/", StringComparison.Ordinal));
            if (pin) Assert.Equal(0, gone);
            else Assert.True(gone > 0);
            await follower.WaitForAsync(lsn, patience);
            if (pin)
            {
                using var reader = follower.Read();
                Assert.Empty(reader.Verify(null));
                Assert.Equal(0, follower.State.StartedOver);
            }
            await Until.IsTrue(() => TryVerify(follower));
        }
        finally
        {
            await follower.DisposeAsync();
        }
    }

    static bool TryVerify(Follower follower)
    {
        try
        {
            using var reader = follower.Read();
            return reader.Verify(null).Count == 0;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Busy)
        {
            return false; // it starts over
        }
    }

    [Fact]
    public async Task In_the_background_the_rest_comes_by_itself()
    {
        using var writer = await WriteAsync();
        await using (var follower = await Follower.StartAsync(Following(FetchMode.Background), patience))
        {
            await Until.IsTrue(() => !Options("follower").Home.IsLazy);
            isAway = true;
            for (var i = 0; i < Databases; i++) Compare(follower, i);
            isAway = false;
        }
        // A directory that began lazily becomes whole when it is opened so.
        Directory.Delete(root["follower"], recursive: true);
        await using (var follower = await Follower.StartAsync(Following(), patience))
            Assert.True(Options("follower").Home.IsLazy);
        await using var whole = await Follower.StartAsync(Following(FetchMode.All), patience);
        await Until.IsTrue(() => !Options("follower").Home.IsLazy);
    }

    [Fact]
    public async Task Nobody_takes_its_directory_for_whole()
    {
        using (var writer = await WriteAsync())
        await using (var follower = await Follower.StartAsync(Following(), patience))
            await follower.CaughtUpAsync(patience);
        var options = Options("follower");
        Assert.Throws<RecoveryException>(() => Store.Open(options));
        var refused = Assert.Throws<RecoveryException>(() => StoreView.Open(options));
        Assert.Contains("Not all of", refused.Message);
        isAway = true;
        await using (var follower = await Follower.StartAsync(Following(), patience))
            await Assert.ThrowsAsync<RecoveryException>(() => follower.PromoteAsync(patience));
        Assert.True(options.Home.IsLazy);
        Assert.True(options.Home.IsReplica);
        isAway = false;
        await using (var follower = await Follower.StartAsync(Following(), patience))
        {
            await follower.CaughtUpAsync(patience);
            await follower.PromoteAsync(patience);
        }
        Assert.False(options.Home.IsLazy);
        isAway = true;
        using var promoted = Store.Open(options with { Remote = remote.Options });
        foreach (var (name, content) in model)
        {
            var database = promoted.Find(name)!;
            var version = database.Pin();
            Assert.Equal(content.Length, version.SizeBytes);
            database.Unpin(version);
        }
        Assert.Empty(promoted.Verify(null, patience));
    }
}

public sealed class DirectoryLazyFollowerTests(DirectoryPlaces places) : LazyFollowerTests(places),
    IClassFixture<DirectoryPlaces>;

[Collection(S3Collection.Name)]
public sealed class S3LazyFollowerTests(S3Server server) : LazyFollowerTests(new BucketPlaces(server));
