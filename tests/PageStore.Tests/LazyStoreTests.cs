using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A writer that begins on a machine with nothing, and writes before its pages are there: what it reads and what it
/// commits, without its remote, after kills, and beside others who want to write.
/// </summary>
public abstract class LazyStoreTests(IRemotePlaces places) : IDisposable
{
    const int PageSize = 4096, Pages = 200, Databases = 3, KillsMax = 3;

    static readonly Retention none = new() { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero };

    readonly CancellationToken patience = new CancellationTokenSource(TimeSpan.FromMinutes(3)).Token;
    readonly TempDirectory root = new();
    readonly Dictionary<string, byte[]> model = [];
    RemotePlace remote = null!;
    Func<string, bool> isCut = static _ => false;
    ObjectStoreError cutAs = ObjectStoreError.Denied; // which nobody tries again

    public void Dispose() => root.Dispose();

    static string NameOf(int number) => $"d{number}.db";

    StoreOptions Options(string name) => new()
    {
        Directory = root[name],
        PageCacheBytes = 1 << 20,
        Remote = remote.Options with
        {
            Retention = none,
            Open = _ => new GatedStore(remote.Open(), name => isCut(name) ? cutAs : null),
        },
    };

    /// <summary>Cuts nothing but the bytes of files: the log goes on.</summary>
    static bool IsOfFiles(string name) => name.StartsWith("extents/", StringComparison.Ordinal);

    Store OpenLazily(string name)
    {
        StoreRestore.RestoreIfGone(Options(name), lazily: true);
        return Store.Open(Options(name));
    }

    /// <summary>
    /// Some databases, each in a blob file of its own, and hints that name them; some log after these.
    /// </summary>
    async Task WriteAndLoseAsync()
    {
        remote = await places.NewAsync();
        using (var writer = Store.Open(Options("lost")))
        {
            for (var i = 0; i < Databases; i++)
            {
                Write(writer, i, 0, Pages);
                await writer.Remote!.PublishHintsAsync(patience);
            }
            writer.WaitRestorable(Write(writer, 0, 3, 2));
        }
        Directory.Delete(root["lost"], recursive: true);
    }

    ulong Write(Store writer, int number, int from, int pages)
    {
        var name = NameOf(number);
        var database = writer.Find(name) ?? writer.Create(name);
        var content = model.TryGetValue(name, out var before) ? before.ToArray() : new byte[Pages * PageSize];
        new Random(content[from * PageSize] * 31 + number).NextBytes(content.AsSpan(from * PageSize, pages * PageSize));
        using var overlay = writer.BeginOverlay(database, database.Current);
        for (var page = from; page < from + pages; page++)
            overlay.Write(page * PageSize, content.AsSpan(page * PageSize, PageSize));
        var lsn = writer.Commit([overlay], durable: true);
        model[name] = content;
        return lsn;
    }

    /// <summary>Without what closing would ship.</summary>
    void Kill(Store store)
    {
        var before = isCut;
        isCut = static _ => true;
        Killed.Kill(store);
        isCut = before;
    }

    static byte[] Read(Store store, int number, int from = 0, int pages = Pages)
    {
        var database = store.Find(NameOf(number))!;
        var bytes = new byte[pages * PageSize];
        var version = database.Pin();
        try
        {
            Assert.Equal(bytes.Length, database.Read(version, from * PageSize, bytes));
            return bytes;
        }
        finally
        {
            database.Unpin(version);
        }
    }

    void Compare(Store store, int number) => Assert.Equal(model[NameOf(number)], Read(store, number));

    void CompareAll(Store store)
    {
        for (var i = 0; i < Databases; i++) Compare(store, i);
        Assert.Empty(store.Verify(null, patience));
    }

    [Fact]
    public async Task It_writes_at_once_and_the_rest_comes_in_behind_it()
    {
        await WriteAndLoseAsync();
        var before = await remote.NamesAsync("extents/");
        isCut = IsOfFiles;
        // Nothing of the files needs to be here, but what the log changes.
        Assert.ThrowsAny<RecoveryException>(() => OpenLazily("new"));
        isCut = static _ => false;
        using (var store = OpenLazily("new"))
        {
            var lsn = Write(store, 1, 10, 3);
            store.WaitRestorable(lsn);
            CompareAll(store);
            await Until.IsTrue(() => store.Fetched is null);
            Assert.False(store.Home.IsLazy);
            await Until.IsTrue(() => store.Home.HintsPinName is null);
            await store.Remote!.PublishHintsAsync(patience);
            // What came from there is not sent there again.
            var twice = (await remote.NamesAsync("extents/")).Except(before)
                .Where(n => before.Any(b => b[..24] == n[..24]));
            Assert.Empty(twice);
        }
        isCut = static _ => true;
        using var again = Store.Open(Options("new"));
        CompareAll(again);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_the_remote_what_is_here_answers_and_a_commit_that_needs_more_loses_nothing(bool killed)
    {
        await WriteAndLoseAsync();
        var store = OpenPaused("new");
        try
        {
            Assert.Equal(model[NameOf(2)][..PageSize], Read(store, 2, 0, 1));
            Write(store, 2, 0, 1);
            (isCut, cutAs) = (IsOfFiles, ObjectStoreError.Unavailable);
            if (killed)
            {
                Kill(store);
                store = Store.Open(Options("new") with { FetchesRest = false });
            }
            Assert.Equal(model[NameOf(2)][..PageSize], Read(store, 2, 0, 1));
            var refused = Assert.Throws<RecoveryException>(() => Compare(store, 1));
            Assert.Equal(RecoveryError.Remote, refused.Error);
            Assert.True(refused.IsTransient);
            Assert.Contains("cut by a test", refused.Message);
            Assert.Contains("are not here", refused.Message);
            // A page that is not here: its commit fails, and the store takes others.
            Assert.Throws<RecoveryException>(() => Write(store, 1, 150, 1));
            store.WaitRestorable(Write(store, 2, 0, 1));
            isCut = static _ => false;
            Write(store, 1, 150, 1);
            CompareAll(store);
        }
        finally
        {
            store.Dispose();
        }
        await CompareRestoredAsync();
    }

    async Task CompareRestoredAsync()
    {
        await remote.RestoreAsync(new StoreOptions { Directory = root["restored"] });
        using var restored = Store.Open(new StoreOptions { Directory = root["restored"] });
        CompareAll(restored);
    }

    /// <summary>Opens lazily, and what comes by itself comes when files are read again.</summary>
    Store OpenPaused(string name)
    {
        var options = Options(name);
        StoreRestore.RestoreIfGone(options, lazily: true);
        return Store.Open(options with { FetchesRest = false });
    }

    [Fact]
    public async Task After_a_loss_of_power_what_had_come_is_proved_or_fetched_again()
    {
        await WriteAndLoseAsync();
        var store = OpenPaused("new");
        for (var i = 0; i < Databases; i++) Read(store, i, 0, 60);
        Write(store, 1, 10, 3);
        var home = store.Home;
        var files = home.LazyList!.Split('\n').Skip(2).Where(l => l.Length > 0).Select(l => l.Split(' ')).ToList();
        Kill(store);
        // Of what nobody has synced, some is there.
        foreach (var file in files)
        {
            var record = Path.Combine(home.Fetched, file[1]);
            if (!File.Exists(record)) continue;
            using (var bytes = File.OpenWrite(record))
            {
                bytes.Position = 56;
                bytes.Write(Guid.NewGuid().ToByteArray());
            }
            using var blocks = File.OpenWrite(Path.Combine(home.Pages, file[0]));
            blocks.Position = blocks.Length / 2;
            blocks.Write(new byte[Math.Min(100_000, blocks.Length - blocks.Position)]);
        }
        using var again = Store.Open(Options("new"));
        CompareAll(again);
        await Until.IsTrue(() => again.Fetched is null);
    }

    [Fact]
    public async Task Its_compactions_and_collections_leave_a_remote_that_restores()
    {
        await WriteAndLoseAsync();
        using (var store = OpenPaused("new"))
        {
            for (var round = 0; round < 3; round++)
            {
                for (var i = 0; i < Databases; i++) Write(store, i, round * 20, 40);
                await store.Remote!.PublishHintsAsync(patience);
                await store.Remote.CollectAsync(none, patience);
                if (round == 1) store.Compact(patience);
            }
            CompareAll(store);
            await store.Remote!.PublishHintsAsync(patience);
            await store.Remote.CollectAsync(none, patience);
        }
        await CompareRestoredAsync();
    }

    [Fact]
    public async Task Hints_that_another_writer_left_behind_take_nothing_from_it()
    {
        remote = await places.NewAsync();
        var other = Store.Open(Options("other"));
        for (var i = 0; i < Databases; i++) Write(other, i, 0, Pages);
        await other.Remote!.PublishHintsAsync(patience);
        StoreRestore.RestoreIfGone(Options("new"), lazily: true);
        // It is still alive, writes all anew, and collects what its own hints do not name.
        other.Compact(patience);
        await other.Remote.PublishHintsAsync(patience);
        var plan = await other.Remote.CollectAsync(none, patience);
        Assert.DoesNotContain(plan.Deletions, d => IsOfFiles(d.Name));
        // What it wrote last is missing here, so it stays the writer.
        var refused = Assert.Throws<RecoveryException>(() => Store.Open(Options("new")));
        Assert.Equal(RecoveryError.Fenced, refused.Error);
        other.Dispose();
    }

    [Fact]
    public async Task The_writer_before_it_is_fenced_and_nobody_else_takes_the_directory_for_whole()
    {
        remote = await places.NewAsync();
        using var before = Store.Open(Options("before"));
        for (var i = 0; i < Databases; i++) Write(before, i, 0, Pages);
        await before.Remote!.PublishHintsAsync(patience);
        before.WaitRestorable(before.Lsn.Last);
        using (var store = TakeOver())
        {
            store.WaitRestorable(Write(store, 0, 5, 1));
            Assert.True(store.Home.IsLazy);
            var viewed = Assert.Throws<RecoveryException>(() => StoreView.Open(Options("new")));
            Assert.Contains("auto-restore=lazy", viewed.Message);
        }
        Assert.Throws<RecoveryException>(() => before.WaitRestorable(Raw(before)));
        using var again = Store.Open(Options("new"));
        CompareAll(again);

        // What the other's RocksDB does by itself may come between.
        Store TakeOver()
        {
            for (var tries = 1; ; tries++)
            {
                try
                {
                    return OpenPaused("new");
                }
                catch (RecoveryException e) when (e.Error == RecoveryError.Fenced && tries < 20)
                {
                    Directory.Delete(root["new"], recursive: true);
                }
            }
        }

        static ulong Raw(Store writer)
        {
            var database = writer.Create("late.db");
            using var overlay = writer.BeginOverlay(database, database.Current);
            overlay.Write(0, new byte[PageSize]);
            return writer.Commit([overlay], durable: true);
        }
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public Task Killed_at_any_request_of_its_beginning_it_begins_anew_or_goes_on() => Seeds.OnceAsync(KillAsync);

    async Task KillAsync(Random random)
    {
        await WriteAndLoseAsync();
        var options = Options("new") with { FetchesRest = false };
        for (var round = 0; round < KillsMax; round++)
        {
            var last = random.Next(1, 40);
            var (count, isKilled) = (0, false);
            isCut = _ =>
            {
                if (Interlocked.Increment(ref count) < last) return false;
                if (count == last && Directory.Exists(root["new"])) CopyAsItIs(root["new"], root["killed"]);
                isKilled = true;
                return true;
            };
            Record.Exception(() =>
            {
                StoreRestore.RestoreIfGone(options, lazily: true);
                using var store = Store.Open(options);
                Read(store, 1, 50, 1);
            });
            isCut = static _ => false;
            if (isKilled && Directory.Exists(root["new"])) Directory.Delete(root["new"], recursive: true);
            if (Directory.Exists(root["killed"])) Directory.Move(root["killed"], root["new"]);
            StoreRestore.RestoreIfGone(options, lazily: true);
            using (var store = Store.Open(options))
            {
                store.WaitRestorable(Write(store, 1, 7, 1));
                Compare(store, 0);
                Compare(store, 1);
            }
            Directory.Delete(root["new"], recursive: true);
        }
        await CompareRestoredAsync();
    }

    /// <summary>As a kill at this moment leaves it: nobody writes there now but the one who waits.</summary>
    static void CopyAsItIs(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            if (Path.GetFileName(file) is "LOCK" or "place") continue;
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            using var input =
                new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var output = new FileStream(target, FileMode.Create);
            input.CopyTo(output);
        }
    }
}

public sealed class DirectoryLazyStoreTests(DirectoryPlaces places) : LazyStoreTests(places),
    IClassFixture<DirectoryPlaces>;

[Collection(S3Collection.Name)]
public sealed class S3LazyStoreTests(S3Server server) : LazyStoreTests(new BucketPlaces(server));
