using System.Collections.Concurrent;
using System.Text;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>What a remote is asked for before the first page of it can be read, and what of it outlives what.</summary>
public sealed class LazyOpeningTests : IDisposable
{
    const int PageSize = 512, Pages = 40_000;
    const string Name = "a.db";

    readonly CancellationToken patience = new CancellationTokenSource(TimeSpan.FromMinutes(3)).Token;
    readonly TempDirectory root = new();
    readonly DirectoryPlaces places = new();
    readonly ConcurrentQueue<string> asked = new();
    readonly byte[] content = new byte[Pages * PageSize];
    RemotePlace remote = null!;
    bool isAway;

    public void Dispose()
    {
        root.Dispose();
        places.Dispose();
    }

    StoreOptions Options(string name) => new() { Directory = root[name], PageCacheBytes = 1 << 20 };

    FollowerOptions Following(string name = "follower") => new()
    {
        Url = remote.Url,
        Store = Options(name),
        Interval = TimeSpan.FromMilliseconds(20),
        Fetch = FetchMode.Lazy,
        Open = () => new WatchedStore(new CutOffStore(remote.Open(), () => isAway), asked =>
        {
            this.asked.Enqueue(asked);
            return Task.CompletedTask;
        }),
    };

    /// <summary>A database of so many pages that its table has a list of blocks.</summary>
    async Task<Store> WriteAsync()
    {
        remote = await places.NewAsync();
        var writer = Store.Open(Options("writer") with { Remote = remote.Options });
        for (var page = 0; page < Pages; page++) BitConverter.TryWriteBytes(content.AsSpan(page * PageSize), page + 1);
        var database = writer.Create(Name);
        using (var overlay = writer.BeginOverlay(database, database.Current))
        {
            for (var page = 0; page < Pages; page++)
                overlay.Write(page * PageSize, content.AsSpan(page * PageSize, PageSize));
            writer.WaitRestorable(writer.Commit([overlay], durable: true));
        }
        await writer.Remote!.PublishHintsAsync(patience);
        return writer;
    }

    void Read(Follower follower, int firstPage, int pages)
    {
        using var reader = follower.Read();
        using var version = reader.Pin(Name)!;
        var bytes = new byte[pages * PageSize];
        Assert.Equal(bytes.Length, version.Read(firstPage * PageSize, bytes));
        Assert.True(content.AsSpan(firstPage * PageSize, bytes.Length).SequenceEqual(bytes));
    }

    [Fact]
    public async Task Tables_come_by_range_and_the_first_page_takes_a_few_requests()
    {
        using var writer = await WriteAsync();
        await using var follower = await Follower.StartAsync(Following(), patience);
        await follower.CaughtUpAsync(patience);
        Read(follower, Pages / 2, 1);
        var wanted = asked.ToArray();
        var (table, blobs) = (Largest(".sst"), Largest(".blob"));
        Assert.True(table.Bytes > BlockList.ListlessBytes);
        Assert.Contains(table.Name + ".blocks", wanted);
        Assert.Contains(blobs.Name + ".blocks", wanted);
        // store.json, hints; of a table its list, its end and a block or two, of a file of blobs its list, its
        // beginning, its end and a block; and a look for what is new at every interval.
        Assert.InRange(wanted.Count(n => !n.StartsWith("log/", StringComparison.Ordinal)), 6, 14);
        Assert.InRange(follower.Fetched!.Value.BytesHere, 1, follower.Fetched.Value.Bytes / 2);
        Read(follower, 0, Pages);
        await follower.FetchAllAsync(patience);
        Assert.False(Options("follower").Home.IsLazy);
        Read(follower, 0, Pages);

        (string Name, long Bytes) Largest(string kind)
        {
            var list = Options("follower").Home.LazyList!.Split('\n').Select(l => l.Split(' '))
                .Where(f => f[0].EndsWith(kind, StringComparison.Ordinal)).MaxBy(f => long.Parse(f[3]))!;
            return ($"extents/{list[1]}-{ulong.Parse(list[2]):x16}-{list[4][..16]}", long.Parse(list[3]));
        }
    }

    [Fact]
    public async Task What_needs_no_other_answer_is_asked_for_at_once()
    {
        using var writer = await WriteAsync();
        using var hintsListed = new ManualResetEventSlim();
        using var logListed = new ManualResetEventSlim();
        var answers = new ConcurrentQueue<bool>();
        await using var follower = await Follower.StartAsync(Following() with
        {
            Open = () => new GatedStore(remote.Open(), name =>
            {
                if (name == RemoteNames.Hints) hintsListed.Set();
                else if (name == RemoteNames.Segments) logListed.Set();
                else if (name == RemoteNames.Store) answers.Enqueue(hintsListed.Wait(TimeSpan.FromMinutes(1)));
                else if (name.StartsWith(RemoteNames.Hints, StringComparison.Ordinal))
                    answers.Enqueue(logListed.Wait(TimeSpan.FromMinutes(1)));
                return null;
            }),
        }, patience);
        await follower.CaughtUpAsync(patience);
        Assert.True(answers.Count >= 2);
        Assert.DoesNotContain(false, answers);
        Read(follower, Pages / 2, 1);
    }

    [Fact]
    public async Task A_compaction_fetches_the_tables_that_it_reads_or_waits_for_them()
    {
        using var writer = await WriteAsync();
        await using var follower = await Follower.StartAsync(Following(), patience);
        await follower.CaughtUpAsync(patience);
        var database = writer.Find(Name)!;
        using (var overlay = writer.BeginOverlay(database, database.Current))
        {
            // At one end, so that the rest of the table is not here.
            for (var page = 0; page < 20; page++)
            {
                BitConverter.TryWriteBytes(content.AsSpan(page * PageSize), -page);
                overlay.Write(page * PageSize, content.AsSpan(page * PageSize, PageSize));
            }
            await follower.WaitForAsync(writer.Commit([overlay], durable: true), patience);
        }
        var pages = (RocksPageStore)follower.Replica!.Replayed.Core.Pages;
        pages.Flush();
        isAway = true;
        Assert.ThrowsAny<RecoveryException>(() => pages.Compact(patience));
        isAway = false;
        pages.Compact(patience);
        Read(follower, 0, Pages);
    }

    [Fact]
    public async Task What_was_opened_in_a_hurry_is_made_durable_and_a_loss_of_power_before_that_begins_anew()
    {
        using var writer = await WriteAsync();
        var home = Options("follower").Home;
        await using (var follower = await Follower.StartAsync(Following(), patience))
        {
            await follower.CaughtUpAsync(patience);
            Read(follower, 7, 1);
            await Until.IsTrue(() => !home.IsUnsynced);
            Assert.False(File.Exists(Path.Combine(home.Path, "starting-over")));
        }
        // As a kill before that leaves it: what was read can be read.
        home.EndOverUnsynced();
        Assert.False(home.IsStartingOver);
        isAway = true;
        await using (var follower = await Follower.StartAsync(Following(), patience))
        {
            await follower.ReadableAsync(TimeSpan.FromMilliseconds(300), patience);
            Read(follower, 7, 1);
            await Until.IsTrue(() => !home.IsUnsynced);
        }
        // As a loss of power leaves it: whatever of it is there, it is not believed.
        home.EndOverUnsynced();
        var mark = Path.Combine(home.Path, "starting-over");
        File.WriteAllText(mark, File.ReadAllText(mark).Replace(
            File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(), Guid.NewGuid().ToString()));
        Assert.True(home.IsStartingOver);
        await Assert.ThrowsAsync<RecoveryException>(() => Follower.StartAsync(Following(), patience));
        isAway = false;
        await using var anew = await Follower.StartAsync(Following(), patience);
        await anew.CaughtUpAsync(patience);
        Read(anew, 7, 1);
    }

    [Fact]
    public async Task A_MANIFEST_that_nobody_would_write_is_tried_with_all_tables_and_ends_no_host()
    {
        (await WriteAsync()).Dispose();
        CraftedRemote.EditHints(new Uri(remote.Url).LocalPath, hints => hints with
        {
            Files = [.. hints.Files.Select(f => f.Name.StartsWith("MANIFEST-", StringComparison.Ordinal)
                ? f with { Bytes = Swapped(f) }
                : f)],
        });
        var refused = await Assert.ThrowsAsync<RecoveryException>(() => Follower.StartAsync(Following(), patience));
        Assert.Equal(RecoveryError.Corrupt, refused.Error);
        Assert.Contains("in no order", refused.Message);

        byte[] Swapped(LiveFile file)
        {
            var directory = Directory.CreateDirectory(root["manifest"]).FullName;
            File.WriteAllText(Path.Combine(directory, "CURRENT"), file.Name + "\n", Encoding.ASCII);
            File.WriteAllBytes(Path.Combine(directory, file.Name), file.Bytes.ToArray());
            Assert.NotEqual(0, HostileFiles.SwapKeys(directory));
            return File.ReadAllBytes(Path.Combine(directory, file.Name));
        }
    }
}
