using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A store is read from its files alone while it is written: every reader sees all that was committed before, and only
/// whole commits.
/// </summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class StoreViewTests : IDisposable
{
    readonly string root = Path.Combine(Path.GetTempPath(), "view-" + Guid.NewGuid().ToString("N"));
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    Random random = new();

    public void Dispose()
    {
        if (Directory.Exists(root)) Directory.Delete(root, recursive: true);
    }

    StoreOptions Options(bool inMemory = false) => new()
    {
        Directory = Path.Combine(root, "store"),
        PagesInMemory = inMemory,
        PageCacheBytes = 1 << 20,
        OverlayBytes = 256 << 10,
        PendingBytes = 1 << 20,
        SegmentBytes = 64 << 10,
        LogBytesBetweenFlushes = 256 << 10,
    };

    void Seeded(Action run, [System.Runtime.CompilerServices.CallerMemberName] string name = "") => Seeds.Once(seeded =>
    {
        random = seeded;
        run();
    }, name);

    void Compare(StoreView view)
    {
        using var reader = view.Read();
        Compare(reader);
    }

    void Compare(FollowerReader reader)
    {
        Assert.Equal(model.Where(m => m.Value.Length > 0).Select(m => m.Key), reader.Databases);
        foreach (var (name, content) in model.Where(m => m.Value.Length > 0))
        {
            using var version = reader.Pin(name)!;
            Assert.Equal(Hidden(content), Read(version));
        }
        Assert.Empty(reader.Verify(null));
    }

    static byte[] Read(FollowedVersion version)
    {
        var bytes = new byte[version.SizeBytes];
        Assert.Equal(bytes.Length, version.Read(0, bytes));
        return bytes;
    }

    /// <summary>As a version shows it: never in WAL mode.</summary>
    static byte[] Hidden(byte[] content)
    {
        var shown = content.ToArray();
        for (var at = 18; at < 20 && at < shown.Length; at++)
            if (shown[at] == 2) shown[at] = 1;
        return shown;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_view_equals_its_writer_whenever_it_is_read(bool inMemory) => Seeded(() =>
    {
        var writer = Store.Open(Options(inMemory));
        for (var i = 0; i < 3; i++) StoreTests.Transaction(random, writer, model);
        using var view = StoreView.Open(Options(inMemory));
        var pinned = new List<(FollowerReader Reader, FollowedVersion Version, byte[] Content)>();
        try
        {
            for (var round = 0; round < 150; round++)
            {
                for (var i = random.Next(random.Next(8) == 0 ? 100 : 6); i > 0; i--)
                    StoreTests.Transaction(random, writer, model);
                if (random.Next(15) == 0 && model.Count > 2)
                {
                    var name = model.Keys.ElementAt(random.Next(model.Count));
                    writer.Delete(writer.Find(name)!, durable: random.Next(2) == 0);
                    model.Remove(name);
                }
                if (random.Next(20) == 0) writer.Checkpoint();
                if (random.Next(25) == 0)
                {
                    writer.Dispose();
                    if (random.Next(2) == 0) Compare(view);
                    writer = Store.Open(Options(inMemory));
                }
                if (random.Next(3) == 0) continue;
                Compare(view);
                foreach (var (_, version, content) in pinned) Assert.Equal(content, Read(version));
                if (random.Next(6) == 0 && model.FirstOrDefault(m => m.Value.Length > 0) is { Key: { } some }
                    && view.Read() is var reader)
                    pinned.Add((reader, reader.Pin(some)!, Hidden(model[some])));
                if (pinned.Count == 0 || random.Next(8) != 0) continue;
                pinned[0].Version.Dispose();
                pinned[0].Reader.Dispose();
                pinned.RemoveAt(0);
            }
            using (var late = StoreView.Open(Options(inMemory))) Compare(late);
        }
        finally
        {
            foreach (var (reader, version, _) in pinned)
            {
                version.Dispose();
                reader.Dispose();
            }
            writer.Dispose();
        }
        Compare(view);
    });

    [Fact]
    public void A_view_that_was_away_while_the_log_was_recycled_opens_anew_and_misses_nothing() => Seeded(() =>
    {
        using var writer = Store.Open(Options());
        StoreTests.Transaction(random, writer, model);
        using var view = StoreView.Open(Options());
        Compare(view);
        var first = writer.Log.FirstLsn;
        while (writer.Log.FirstLsn <= first + 200)
        {
            for (var i = 0; i < 100; i++) StoreTests.Transaction(random, writer, model);
            writer.Checkpoint();
        }
        Compare(view);
        Assert.Equal(2, view.Openings);
    });

    [Fact]
    public void A_view_that_reads_on_takes_newer_files_and_is_hardly_ever_opened_anew() => Seeded(() =>
    {
        using var writer = Store.Open(Options() with { SegmentBytes = 1 << 20 });
        StoreTests.Transaction(random, writer, model);
        using var view = StoreView.Open(Options() with { OverlayBytes = 16 << 10 });
        for (var i = 0; i < 1500; i++)
        {
            StoreTests.Transaction(random, writer, model);
            var written = writer.Log.WrittenLsn;
            using var reader = view.Read();
            Assert.InRange(reader.Lsn, written, writer.Log.WrittenLsn);
            if (i % 150 == 149) writer.Checkpoint();
            if (i % 100 != 0) continue;
            Compare(reader);
            var above = long.Parse(reader.Status().First(s => s.Key == "bytes_above_files").Value);
            Assert.InRange(above, 0, 8 << 20);
        }
        using (var reader = view.Read())
            Assert.NotEqual("0", reader.Status().First(s => s.Key == "files_lsn").Value);
        // Only where a segment ended just before it was dropped.
        Assert.InRange(view.Openings, 1, 3);
    });

    [Fact, System.Runtime.Versioning.SupportedOSPlatform("linux")]
    public void Nothing_in_the_directory_is_touched_and_no_right_to_write_is_needed() => Seeded(() =>
    {
        using (var writer = Store.Open(Options()))
            for (var i = 0; i < 50; i++)
            {
                StoreTests.Transaction(random, writer, model);
                if (i == 30) writer.Checkpoint();
            }
        string[] Listing()
            => [.. Directory.EnumerateFileSystemEntries(Options().Directory, "*", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal)
            .Select(f => $"{f} {File.GetLastWriteTimeUtc(f):O} {(File.Exists(f) ? new FileInfo(f).Length : 0)}")];
        var before = Listing();
        foreach (var directory in Directory.EnumerateDirectories(Options().Directory, "*", SearchOption.AllDirectories)
            .Append(Options().Directory))
            File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        try
        {
            using var view = StoreView.Open(Options());
            Compare(view);
            Assert.Equal(before, Listing());
        }
        finally
        {
            foreach (var directory in Directory.EnumerateDirectories(Options().Directory, "*",
                SearchOption.AllDirectories).Append(Options().Directory))
                File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserExecute
                    | UnixFileMode.UserWrite);
        }
    });

    [Fact]
    public void Many_readers_and_a_writer_at_full_speed() => Seeded(() =>
    {
        using var writer = Store.Open(Options());
        for (var i = 0; i < 5; i++) StoreTests.Transaction(random, writer, model);
        using var view = StoreView.Open(Options());
        using var stop = new CancellationTokenSource();
        var reads = 0;
        var readers = Enumerable.Range(0, 3).Select(n => Task.Factory.StartNew(() =>
        {
            var before = 0UL;
            while (!stop.IsCancellationRequested)
            {
                var least = writer.Log.WrittenLsn;
                using var reader = view.Read();
                Assert.True(reader.Lsn >= least && reader.Lsn >= before,
                    $"LSN {reader.Lsn} after {before}, and the writer had {least}");
                before = reader.Lsn;
                if (n == 0) Assert.Empty(reader.Verify(null));
                Interlocked.Increment(ref reads);
            }
        }, TaskCreationOptions.LongRunning)).ToArray();
        try
        {
            for (var i = 0; i < 3000; i++) StoreTests.Transaction(random, writer, model);
        }
        finally
        {
            stop.Cancel();
            Task.WaitAll(readers);
        }
        Assert.True(reads > 0);
        Compare(view);
    });

    [Fact]
    public void A_commit_whose_sync_failed_is_taken_back()
    {
        var disk = new TroubledDisk(new PowerLossDisk());
        var options = Options(inMemory: true) with { Disk = disk };
        ulong seen;
        using (var writer = Store.Open(options))
        {
            for (var i = 0; i < 5; i++) StoreTests.Transaction(random, writer, model);
            writer.Sync();
            using var view = StoreView.Open(options);
            Compare(view);
            seen = view.Lsn;
            var database = writer.Create("never.db");
            using var overlay = writer.BeginOverlay(database, database.Current);
            overlay.Write(0, new byte[1024]);
            disk.DuringFailedSync = () =>
            {
                // Its sync is under way: it can be seen already.
                using var reader = view.Read();
                Assert.Contains("never.db", reader.Databases);
            };
            Assert.Throws<RecoveryException>(() => writer.Commit([overlay], durable: true));
            using (var reader = view.Read())
            {
                Assert.DoesNotContain("never.db", reader.Databases);
                Assert.Equal(seen, reader.Lsn);
            }
        }
    }

    [Fact]
    public void What_is_not_a_store_is_said_to_be_none()
    {
        Directory.CreateDirectory(root);
        Assert.Equal(RecoveryError.NotFound, Assert.Throws<RecoveryException>(() => StoreView.Open(Options())).Error);
        Directory.CreateDirectory(Options().Directory);
        Assert.Equal(RecoveryError.NotFound, Assert.Throws<RecoveryException>(() => StoreView.Open(Options())).Error);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Damage_in_the_log_is_reported_and_not_taken_for_its_end(bool inNewest) => Seeded(() =>
    {
        string[] Segments()
            => [.. Directory.GetFiles(Path.Combine(Options().Directory, "log"), "*.log").Order(StringComparer.Ordinal)];
        // With some records behind the one that will be damaged.
        bool IsNewestShort(Store writer)
            => writer.Log.LastLsn < Convert.ToUInt64(Path.GetFileNameWithoutExtension(Segments()[^1]), 16) + 5;
        using (var writer = Store.Open(Options(inMemory: true)))
            for (var i = 0; i < 200 || IsNewestShort(writer); i++)
            {
                StoreTests.Transaction(random, writer, model);
                writer.Sync();
            }
        var segments = Segments();
        var segment = inNewest ? segments[^1] : segments[random.Next(segments.Length - 1)];
        using (var file = new FileStream(segment, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            // In the first record's body.
            file.Position = 64 + 28 + 1;
            var b = file.ReadByte();
            file.Position--;
            file.WriteByte((byte)(b ^ 4));
        }
        var e = Assert.Throws<RecoveryException>(() => StoreView.Open(Options(inMemory: true)));
        Assert.Equal(RecoveryError.Corrupt, e.Error);
        Assert.Contains(segment, e.Message);
    });

    [Fact]
    public void Damage_below_is_reported_and_never_shown() => Seeded(() =>
    {
        using (var writer = Store.Open(Options()))
        {
            for (var i = 0; i < 60; i++) StoreTests.Transaction(random, writer, model);
            writer.Checkpoint();
        }
        // Everywhere: some of what is there may be garbage.
        foreach (var blob in Directory.EnumerateFiles(Path.Combine(Options().Directory, "pages"), "*.blob"))
        {
            var bytes = File.ReadAllBytes(blob);
            for (var at = 300; at < bytes.Length; at += 300) bytes[at] ^= 0x10;
            File.WriteAllBytes(blob, bytes);
        }
        var problems = new List<string>();
        try
        {
            using var view = StoreView.Open(Options());
            using var reader = view.Read();
            foreach (var (name, content) in model.Where(m => m.Value.Length > 0))
                try
                {
                    using var version = reader.Pin(name)!;
                    Assert.Equal(Hidden(content), Read(version));
                }
                catch (RecoveryException e)
                {
                    problems.Add(e.Message);
                }
        }
        catch (RecoveryException e)
        {
            problems.Add(e.Message);
        }
        Assert.NotEmpty(problems);
    });
}
