using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.Testing;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The store as a whole against a model: databases are byte arrays, and a version that is pinned never changes.
/// </summary>
public sealed class StoreTests : IDisposable
{
    readonly string directory = Path.Combine(Path.GetTempPath(), "store-" + Guid.NewGuid().ToString("N"));

    public void Dispose()
    {
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }

    StoreOptions Options(bool memory = false) => new()
    {
        Directory = directory,
        PagesInMemory = memory,
        PageCacheBytes = 1 << 20,
        OverlayBytes = 1 << 18,
        PendingBytes = 1 << 20,
    };

    static byte[] ReadAll(Database database, DatabaseVersion version)
    {
        var bytes = new byte[version.SizeBytes];
        Assert.Equal(bytes.Length, database.Read(version, 0, bytes));
        return bytes;
    }

    [Fact]
    public void An_opening_that_fails_after_its_replay_lets_go_of_everything()
    {
        var disk = new TroubledDisk();
        var options = Options() with { Disk = disk };
        using (var store = Store.Open(options)) Assert.True(store.Create("a.db").Id > 0);
        // The log knows nothing of it, so the next opening wants to delete it.
        var strange = Path.Combine(options.Home.Files, "00000000000000ff");
        File.WriteAllText(strange, "left by a crash");
        disk.RefusesDeletes = true;
        Assert.Equal(RecoveryError.IoWrite, Assert.Throws<RecoveryException>(() => Store.Open(options)).Error);
        disk.RefusesDeletes = false;
        // Neither RocksDB nor the log is held by what failed.
        using (var store = Store.Open(options)) Assert.NotNull(store.Find("a.db"));
        Assert.False(File.Exists(strange));
    }

    [Fact]
    public void A_commit_is_read_back_and_survives_reopening()
    {
        var page = new byte[4096];
        new Random(1).NextBytes(page);
        using (var store = Store.Open(Options()))
        {
            var database = store.Create("a.db");
            using var overlay = store.BeginOverlay(database, database.Current);
            overlay.Write(0, page);
            overlay.Write(8192, page);
            store.Commit([overlay], durable: true);
            Assert.Equal(12288, database.Current.SizeBytes);
        }
        using (var store = Store.Open(Options()))
        {
            var database = store.Find("a.db")!;
            var version = database.Pin();
            var bytes = ReadAll(database, version);
            database.Unpin(version);
            Assert.Equal(page, bytes[..4096]);
            Assert.All(bytes[4096..8192], b => Assert.Equal(0, b));
            Assert.Equal(page, bytes[8192..]);
            Assert.Empty(store.Verify(null, default));
        }
    }

    /// <summary>
    /// The commits that may wait for the page store use up their memory, or the log has no room any more.
    /// </summary>
    [Theory, InlineData(4 << 20), InlineData(1 << 30)]
    public void A_writer_goes_on_as_soon_as_there_is_room_again(int pendingBytes)
    {
        var disk = new TroubledDisk { Fills = path => path.Contains("/hints-", StringComparison.Ordinal) };
        using var store =
            Store.Open(Options() with
            {
                Disk = disk,
                LogBytesBetweenFlushes = 1 << 20,
                MaxLocalLogBytes = 64 << 20,
                PendingBytes = pendingBytes
            });
        var database = store.Create("a.db");
        var random = new Random(1);
        var bytes = new byte[1 << 18];
        void Commit()
        {
            random.NextBytes(bytes);
            using var overlay = store.BeginOverlay(database, database.Current);
            overlay.Write(0, bytes);
            store.Commit([overlay], durable: false);
        }
        for (var round = 0; round < 3; round++)
        {
            disk.IsFull = true;
            var full = Assert.Throws<RecoveryException>(() =>
            {
                // Pages enter the page store all the same, so that it may take as long as the log has room.
                for (var i = 0; i < 1000; i++) Commit();
            });
            Assert.Equal(RecoveryError.Full, full.Error);
            Assert.Contains("hints-", full.Message);
            disk.IsFull = false;
            Commit();
        }
        Assert.Empty(store.Verify(null, default));
    }

    [Fact]
    public void A_plain_file_that_is_only_ever_written_does_not_keep_the_log()
    {
        using var store = Store.Open(Options() with { SegmentBytes = 64 << 10, LogBytesBetweenFlushes = 256 << 10 });
        using var file = store.OpenFile("a.db-wal", create: true)!;
        var bytes = new byte[16 << 10];
        for (var i = 0; i < 600; i++) file.Write(i * (long)bytes.Length, bytes);
        // In the background: the bound, far above, is what writers would wait for.
        Assert.True(SpinWait.SpinUntil(() => store.Log.SizeBytes < 2 << 20, TimeSpan.FromSeconds(30)),
            $"{store.Log.SizeBytes} bytes of log");
    }

    [Fact]
    public void A_second_opening_names_the_holder()
    {
        using var store = Store.Open(Options());
        var error = Assert.Throws<RecoveryException>(() => Store.Open(Options()));
        Assert.Equal(RecoveryError.Busy, error.Error);
        Assert.Contains("this process", error.Message);
    }

    [Fact]
    public void A_plain_file_survives_a_kill_as_it_was_written()
    {
        using (var store = Store.Open(Options()))
        {
            using var file = store.OpenFile("a.db-wal", create: true)!;
            file.Write(0, "hello"u8);
            file.Truncate(0);
            file.Write(3, "world"u8);
            store.WriteOut();
            Killed.Copy(store, directory + "-copy");
        }
        Killed.Replace(directory);
        using (var store = Store.Open(Options()))
        {
            using var file = store.OpenFile("a.db-wal", create: false)!;
            var bytes = new byte[10];
            Assert.Equal(8, file.Read(0, bytes));
            Assert.Equal("\0\0\0world"u8.ToArray(), bytes[..8]);
            Assert.True(store.DeleteFile("a.db-wal", durable: true));
            Assert.False(store.FileExists("a.db-wal"));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Random_transactions_equal_the_model_across_kills_and_reopenings(bool memory) =>
        Seeds.Once(random => RunModel(random, memory, steps: 1500));

    void RunModel(Random random, bool memory, int steps)
    {
        var model = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        var pins = new List<(Database, DatabaseVersion, byte[])>();
        var store = Store.Open(Options(memory));
        try
        {
            for (var step = 0; step < steps; step++)
            {
                switch (random.Next(20))
                {
                    case < 12:
                        Transaction(random, store, model);
                        break;
                    case 12 or 13 when model.Count > 0 && pins.Count < 5:
                        var (name, content) = model.ElementAt(random.Next(model.Count));
                        var database = store.Find(name)!;
                        pins.Add((database, database.Pin(), content));
                        break;
                    case 14 or 15 when pins.Count > 0:
                        var at = random.Next(pins.Count);
                        Assert.Equal(pins[at].Item3, ReadAll(pins[at].Item1, pins[at].Item2));
                        if (random.Next(2) == 0) break;
                        pins[at].Item1.Unpin(pins[at].Item2);
                        pins.RemoveAt(at);
                        break;
                    case 16 when random.Next(4) == 0 && model.Count > 0:
                        var gone = model.Keys.ElementAt(random.Next(model.Count));
                        store.Delete(store.Find(gone)!, durable: random.Next(2) == 0);
                        model.Remove(gone);
                        break;
                    case 17 when random.Next(4) == 0:
                        store.Checkpoint();
                        break;
                    case 18 when random.Next(8) == 0 && !memory:
                        Unpin(pins);
                        store.WriteOut();
                        Killed.Kill(store);
                        store = Store.Open(Options(memory));
                        Compare(store, model);
                        break;
                    case 19 when random.Next(8) == 0:
                        Unpin(pins);
                        store.Dispose();
                        store = Store.Open(Options(memory));
                        Compare(store, model);
                        break;
                }
            }
            Unpin(pins);
            Compare(store, model);
        }
        finally
        {
            store.Dispose();
        }
    }

    static void Unpin(List<(Database Database, DatabaseVersion Version, byte[] Content)> pins)
    {
        foreach (var pin in pins)
        {
            Assert.Equal(pin.Content, ReadAll(pin.Database, pin.Version));
            pin.Database.Unpin(pin.Version);
        }
        pins.Clear();
    }

    internal static void Compare(Store store, SortedDictionary<string, byte[]> model)
    {
        Compare(store.Databases, model);
        Assert.Empty(store.Verify(null, default));
    }

    /// <summary>Brings a follower's replica up to what the writer has written out.</summary>
    internal static void Relay(Store writer, RelayedReplica relayed) => relayed.Take(take =>
    {
        using var cursor = writer.Log.ReadFrom(relayed.Replica.NextLsn, LogReach.Written);
        while (cursor.TryRead(out var record)) take(record);
    }, writer.Log.WrittenLsn);

    internal static void Compare(Replica replica, SortedDictionary<string, byte[]> model)
    {
        Compare(replica.Databases, model);
        Assert.Empty(replica.Verify(null, default));
    }

    static void Compare(IReadOnlyList<Database> databases, SortedDictionary<string, byte[]> model)
    {
        Assert.Equal(model.Keys, databases.Select(d => d.Name));
        foreach (var database in databases)
        {
            var version = database.Pin();
            Assert.Equal(model[database.Name], ReadAll(database, version));
            database.Unpin(version);
        }
    }

    internal static void Transaction(Random random, Store store, SortedDictionary<string, byte[]> model)
    {
        var count = random.Next(5) == 0 ? 2 : 1;
        var overlays = new List<PageOverlay>();
        var contents = new List<(string, byte[])>();
        foreach (var name in Enumerable.Range(0, 5).OrderBy(_ => random.Next()).Take(count).Select(n => $"d{n}.db"))
        {
            var database = store.Find(name) ?? store.Create(name);
            if (!model.ContainsKey(name)) model[name] = [];
            var overlay = store.BeginOverlay(database, database.Current);
            contents.Add((name, Change(random, overlay, model[name])));
            overlays.Add(overlay);
        }
        if (random.Next(5) == 0)
        {
            foreach (var overlay in overlays) overlay.Dispose();
            return;
        }
        if (random.Next(2) == 0) store.Prepare(overlays.ToArray());
        store.Commit(overlays.ToArray(), durable: random.Next(3) == 0);
        foreach (var overlay in overlays) overlay.Dispose();
        foreach (var (name, content) in contents) model[name] = content;
    }

    static byte[] Change(Random random, PageOverlay overlay, byte[] before)
    {
        var content = before.ToArray();
        var pageSize = content.Length >= 100 && content.AsSpan(0, 16).SequenceEqual("SQLite format 3\0"u8)
            && content[16] * 256 + content[17] >= 512
            ? (content[16] << 8 | content[17]) is var s && s == 1 ? 65536 : s : 1024;
        for (var i = random.Next(1, 12); i > 0; i--)
        {
            var kind = random.Next(30);
            if (kind == 0)
            {
                var size = random.Next(0, content.Length + 1);
                overlay.Truncate(size);
                content = content[..size];
            }
            else if (kind == 1)
            {
                // A header with a page size of its own: the store must follow.
                pageSize = 512 << random.Next(0, 5);
                var header = new byte[100];
                "SQLite format 3\0"u8.CopyTo(header);
                header[16] = (byte)(pageSize >> 8);
                header[17] = (byte)pageSize;
                content = Write(overlay, content, 0, header);
            }
            else if (kind < 5)
            {
                var bytes = new byte[random.Next(1, 5000)];
                random.NextBytes(bytes);
                content = Write(overlay, content, random.Next(0, content.Length + 3000), bytes);
            }
            else
            {
                var pages = Math.Max(4, content.Length / pageSize + 2);
                var page = random.Next(pages);
                var bytes = new byte[pageSize];
                if ((page + 1) * pageSize <= content.Length) content.AsSpan(page * pageSize, pageSize).CopyTo(bytes);
                if (random.Next(2) == 0) random.NextBytes(bytes);
                else random.NextBytes(bytes.AsSpan(random.Next(pageSize - 20), 20));
                content = Write(overlay, content, page * pageSize, bytes);
            }
            if (content.Length > 300_000)
            {
                overlay.Truncate(50_000);
                content = content[..50_000];
            }
        }
        var view = new byte[overlay.SizeBytes];
        Assert.Equal(view.Length, overlay.Read(0, view));
        Assert.Equal(content, view);
        return content;
    }

    static byte[] Write(PageOverlay overlay, byte[] content, int offset, byte[] bytes)
    {
        overlay.Write(offset, bytes);
        if (offset + bytes.Length > content.Length) Array.Resize(ref content, offset + bytes.Length);
        bytes.CopyTo(content, offset);
        return content;
    }
}
