using System.Buffers.Binary;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A WAL under <c>files/</c> is flipped, cut, emptied and deleted after a kill. The next opening has every commit that
/// was acknowledged, or names the file: never fewer commits.
/// </summary>
public sealed class PlainDamageTests : IDisposable
{
    const int PageBytes = 1024, FrameBytes = 24 + PageBytes, HeaderBytes = 32;
    const string Name = "a.db-wal";

    readonly TempDirectory temp = new();
    readonly List<RecoveryException> alarms = [];
    byte[] expected = [];

    public void Dispose() => temp.Dispose();

    StoreOptions Options(string name) => new()
    {
        Directory = temp[name],
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        SegmentBytes = 16 << 10,
        WalBufferBytes = 8 << 10,
        Alarm = alarms.Add,
    };

    /// <summary>
    /// Transactions as SQLite writes them: frames, of which the last says that it commits; some are rolled back, and
    /// their frames are overwritten.
    /// </summary>
    static void Transactions(Random random, Store store, PlainFile wal, ref long end, int count)
    {
        if (end == 0)
        {
            wal.Write(0, Bytes(random, HeaderBytes));
            end = HeaderBytes;
        }
        for (; count > 0; count--)
        {
            if (random.Next(3) == 0)
                for (int i = 0, frames = random.Next(1, 14); i < frames; i++)
                    Frame(random, wal, end + ((long)i * FrameBytes), isCommit: false);
            for (var frames = random.Next(1, 6); frames > 0; frames--)
            {
                Frame(random, wal, end, isCommit: frames == 1);
                end += FrameBytes;
            }
            wal.LogCommit();
            wal.Sync();
        }
        store.Sync();
    }

    static void Frame(Random random, PlainFile wal, long offset, bool isCommit)
    {
        var header = Bytes(random, 24);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), isCommit ? 77u : 0u);
        wal.Write(offset, header);
        wal.Write(offset + 24, Bytes(random, PageBytes));
    }

    static byte[] Bytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    static byte[] ReadAll(Store store, long count)
    {
        using var wal = store.OpenFile(Name, create: false);
        if (wal is null) return [];
        var bytes = new byte[count];
        return bytes[..wal.Read(0, bytes)];
    }

    /// <summary>
    /// A store that was killed some while after its hints were published; returns the path of the WAL.
    /// </summary>
    string KilledStore(Random random, bool hasHints)
    {
        var at = 0L;
        using (var store = Store.Open(Options("store")))
        using (var wal = store.OpenFile(Name, create: true)!)
        {
            Transactions(random, store, wal, ref at, random.Next(5, 40));
            if (hasHints) store.Checkpoint();
            Transactions(random, store, wal, ref at, random.Next(12));
            expected = new byte[at];
            Assert.Equal(at, wal.Read(0, expected));
            Killed.Copy(store, temp["killed"]);
        }
        return Directory.EnumerateFiles(Path.Combine(temp["killed"], "files")).Single();
    }

    /// <summary>
    /// Hints of earlier versions vouch for no plain file. Newer ones come with the opening, not only when the log has
    /// grown.
    /// </summary>
    [Fact]
    public async Task A_WAL_of_an_earlier_version_is_vouched_for_soon_after_it_was_opened()
    {
        var disk = RecoveryLog.Disk.LocalDisk.Instance;
        KilledStore(new Random(7), hasHints: true);
        var hints = LocalHints.LoadNewest(disk, temp["killed"])!;
        LocalHints.Publish(disk, temp["killed"],
            hints with { Files = [.. hints.Files.Select(f => f with { Sums = default })] });
        bool IsVouchedFor() => LocalHints.LoadNewest(disk, temp["killed"])!.Files.Single(f => f.Name == Name)
            .Sums.Length > 0;
        Assert.False(IsVouchedFor());
        using var store = Store.Open(Options("killed"));
        await Until.IsTrue(IsVouchedFor);
        Assert.Equal(expected, ReadAll(store, expected.Length));
    }

    static string Damage(Random random, string path)
    {
        var bytes = File.ReadAllBytes(path);
        switch (random.Next(4))
        {
            case 0 when bytes.Length > 0:
                var at = random.Next(bytes.Length);
                bytes[at] ^= (byte)(1 << random.Next(8));
                File.WriteAllBytes(path, bytes);
                return $"flipped at {at} of {bytes.Length}";
            case 1:
                var kept = random.Next(bytes.Length + 1);
                File.WriteAllBytes(path, bytes[..kept]);
                return $"cut to {kept} of {bytes.Length}";
            case 2:
                File.WriteAllBytes(path, []);
                return "emptied";
            default:
                File.Delete(path);
                return "deleted";
        }
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void A_damaged_WAL_is_whole_or_named_after_a_kill()
    {
        var (whole, named) = (0, 0);
        Seeds.Run(52, random =>
        {
            foreach (var name in (string[])["store", "killed"])
                if (Directory.Exists(temp[name])) Directory.Delete(temp[name], recursive: true);
            var path = KilledStore(random, hasHints: random.Next(8) != 0);
            var damage = Damage(random, path);
            try
            {
                using var store = Store.Open(Options("killed"));
                Assert.True(expected.AsSpan().SequenceEqual(ReadAll(store, expected.Length)),
                    $"{damage}: opened, and lost something");
                Assert.Empty(store.Verify(null, default));
                whole++;
            }
            catch (RecoveryException e)
            {
                Assert.Equal(RecoveryError.Corrupt, e.Error);
                Assert.Contains(path, e.Message);
                named++;
            }
        });
        if (!Seeds.Soaking && Environment.GetEnvironmentVariable("RECOVERY_SEED") is null)
            Assert.True(whole > 0 && named > 0, $"{whole} whole, {named} named");
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void A_kill_alone_is_no_damage() => Seeds.Run(12, random =>
    {
        foreach (var name in (string[])["store", "killed"])
            if (Directory.Exists(temp[name])) Directory.Delete(temp[name], recursive: true);
        KilledStore(random, hasHints: true);
        using var store = Store.Open(Options("killed"));
        Assert.Equal(expected, ReadAll(store, expected.Length));
        Assert.Empty(alarms);
    });

    /// <summary>
    /// Hints vouch for whole chunks. Of the one that a cut goes through the log has the rest, so that nothing of it is
    /// believed unread.
    /// </summary>
    [Theory]
    [InlineData(20_000)]
    [InlineData(16_384)]
    [InlineData(5_000)]
    public void Of_a_WAL_that_was_cut_after_its_hints_every_byte_is_verified(int size)
    {
        var at = 0L;
        using (var store = Store.Open(Options("store")))
        using (var wal = store.OpenFile(Name, create: true)!)
        {
            Transactions(new Random(9), store, wal, ref at, 20);
            Assert.True(at > 40_000);
            store.Checkpoint();
            wal.Truncate(size);
            expected = new byte[size];
            Assert.Equal(size, wal.Read(0, expected));
            store.Sync();
            Killed.Copy(store, temp["killed"]);
        }
        for (var damaged = 0; damaged < size; damaged += 997) WithByteChanged(damaged);
    }

    /// <summary>
    /// A transaction that spilled into the WAL before its hints, and writes one of its first frames again, lives on
    /// behind that frame.
    /// </summary>
    [Fact]
    public void What_lies_behind_an_overwritten_frame_is_verified_too()
    {
        const int Frames = 80, Rewritten = 5;
        using (var store = Store.Open(Options("store")))
        using (var wal = store.OpenFile(Name, create: true)!)
        {
            var random = new Random(13);
            wal.Write(0, Bytes(random, HeaderBytes));
            for (var i = 0; i < Frames; i++) Frame(random, wal, HeaderBytes + (i * FrameBytes), isCommit: false);
            store.Checkpoint();
            Frame(random, wal, HeaderBytes + (Rewritten * FrameBytes), isCommit: false);
            Frame(random, wal, HeaderBytes + (Frames * FrameBytes), isCommit: true);
            wal.LogCommit();
            wal.Sync();
            expected = new byte[HeaderBytes + ((Frames + 1) * FrameBytes)];
            Assert.Equal(expected.Length, wal.Read(0, expected));
            Killed.Copy(store, temp["killed"]);
        }
        foreach (var at in (int[])[100, (Rewritten * FrameBytes) + 100, 17_000, 40_000, (Frames - 1) * FrameBytes])
            WithByteChanged(at);
    }

    /// <summary>
    /// A copy of the killed store, one byte of its WAL changed, has the right bytes all the same, or says which file
    /// has not.
    /// </summary>
    void WithByteChanged(int at)
    {
        foreach (var file in Directory.EnumerateFiles(temp["killed"], "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(temp["damaged"], Path.GetRelativePath(temp["killed"], file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        var path = Directory.EnumerateFiles(Path.Combine(temp["damaged"], "files")).Single();
        var bytes = File.ReadAllBytes(path);
        bytes[at] ^= 16;
        File.WriteAllBytes(path, bytes);
        try
        {
            using var store = Store.Open(Options("damaged"));
            Assert.True(expected.AsSpan().SequenceEqual(ReadAll(store, expected.Length)),
                $"byte {at} of {expected.Length}: opened with another one");
        }
        catch (RecoveryException e)
        {
            Assert.Equal(RecoveryError.Corrupt, e.Error);
            Assert.Contains(path, e.Message);
        }
        Directory.Delete(temp["damaged"], recursive: true);
    }

    [Fact]
    public void What_the_log_still_has_makes_the_file_whole()
    {
        var (random, at) = (new Random(3), 0L);
        using (var store = Store.Open(Options("store") with { SegmentBytes = 8 << 20 }))
        using (var wal = store.OpenFile(Name, create: true)!)
        {
            Transactions(random, store, wal, ref at, 20);
            using (store.Log.Hold("test", 1))
            {
                store.Checkpoint();
                expected = new byte[at];
                wal.Read(0, expected);
                Killed.Copy(store, temp["killed"]);
            }
        }
        File.Delete(Directory.EnumerateFiles(Path.Combine(temp["killed"], "files")).Single());
        using var mended = Store.Open(Options("killed"));
        Assert.Equal(expected, ReadAll(mended, expected.Length));
        Assert.Contains("made whole from the log", Assert.Single(alarms).Message);
    }

    /// <summary>
    /// A process that reads beside a writer: SQLite would take a WAL to end before the damage, and show fewer commits.
    /// </summary>
    [Fact]
    public void A_reader_beside_the_writer_is_told_of_a_damaged_WAL()
    {
        var at = 0L;
        using var store = Store.Open(Options("store"));
        using var wal = store.OpenFile(Name, create: true)!;
        Transactions(new Random(5), store, wal, ref at, 30);
        store.Checkpoint();
        using (StoreView.Open(Options("store"))) { }
        var path = Directory.EnumerateFiles(Path.Combine(temp["store"], "files")).Single();
        for (var place = 100L; place < at; place += 4801)
        {
            Flip(path, place);
            var refused = Assert.Throws<RecoveryException>(() => StoreView.Open(Options("store")));
            Assert.Equal(RecoveryError.Corrupt, refused.Error);
            Assert.Contains(path, refused.Message);
            Flip(path, place);
        }
        using (StoreView.Open(Options("store"))) { }
    }

    static void Flip(string path, long at)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Position = at;
        var was = file.ReadByte();
        file.Position = at;
        file.WriteByte((byte)(was ^ 4));
    }

    /// <summary>What a writer does to its WALs is nowhere taken for damage by who reads beside it.</summary>
    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void A_writer_at_work_is_no_damage_to_a_reader_beside_it() => Seeds.RunFor(4, 1, (seed, _) =>
    {
        if (Directory.Exists(temp["store"])) Directory.Delete(temp["store"], recursive: true);
        using var store = Store.Open(Options("store"));
        using var wal = store.OpenFile(Name, create: true)!;
        using var written = new CancellationTokenSource();
        var writer = Task.Run(() =>
        {
            var (random, at) = (new Random(seed), 0L);
            for (var round = 0; round < 40; round++)
            {
                Transactions(random, store, wal, ref at, random.Next(1, 6));
                if (random.Next(3) == 0) store.Checkpoint();
                if (random.Next(12) == 0)
                    wal.Truncate(at = random.Next(2) == 0
                        ? 0
                        : Math.Min(at, HeaderBytes + (FrameBytes * random.Next(1, 30))));
            }
            written.Cancel();
        });
        while (!written.IsCancellationRequested && !writer.IsFaulted)
        {
            try
            {
                ViewedState.Open(Options("store")).Retire();
            }
            catch (RecoveryException e) when (!e.Message.Contains("checksum", StringComparison.Ordinal))
            {
                // It went on from where this one began to look: StoreView looks again then.
            }
        }
        writer.GetAwaiter().GetResult();
        StoreView.Open(Options("store")).Dispose();
    });

    [Fact]
    public void Verifying_a_store_reads_its_plain_files()
    {
        var at = 0L;
        using var store = Store.Open(Options("store"));
        using var wal = store.OpenFile(Name, create: true)!;
        Transactions(new Random(5), store, wal, ref at, 20);
        store.Checkpoint();
        Assert.Empty(store.Verify(null, default));
        var path = Directory.EnumerateFiles(Path.Combine(temp["store"], "files")).Single();
        Flip(path, 5000);
        var problem = Assert.Single(store.Verify(null, default));
        Assert.Contains(Name, problem);
        Assert.Contains(path, problem);
    }

    [Fact]
    public void Hints_without_checksums_are_written_as_before_and_open()
    {
        var hints = new Hints
        {
            LogId = Guid.NewGuid(),
            Epoch = 1,
            Lsn = 5,
            ReplayFrom = 6,
            NextFnode = 3,
            NextDatabaseId = 1,
            Databases = [],
            Files = [new LiveFile { Fnode = 2, Class = RecoveryLog.Records.FileClass.Plain, Names = [Name],
                SizeBytes = 40_000 }],
        };
        var old = HintsFormat.Write(hints);
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(old.AsSpan(8)));
        Assert.True(HintsFormat.Read(old, "old").Files[0].Sums.IsEmpty);
        var written = HintsFormat.Write(hints with { Files = [hints.Files[0] with { Sums = new uint[] { 1, 2, 3 } }] });
        Assert.Equal(2u, BinaryPrimitives.ReadUInt32LittleEndian(written.AsSpan(8)));
        Assert.Equal([1u, 2u, 3u], HintsFormat.Read(written, "new").Files[0].Sums.ToArray());
    }
}
