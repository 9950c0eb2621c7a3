using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Plain files between memory, their files and the log: what is read, and what a crash leaves.</summary>
public sealed class PlainFileTests
{
    const int PageBytes = 512, FrameBytes = Wal.FrameHeaderBytes + PageBytes;

    static StoreOptions Options(ILogDisk disk, long walBuffer = 16 << 20) => new()
    {
        Directory = "/store",
        Disk = disk,
        PagesInMemory = true,
        PageCacheBytes = 1 << 20,
        WalBufferBytes = walBuffer,
        SegmentBytes = 64 << 10,
    };

    static byte[] Content(PlainFile file)
    {
        var bytes = new byte[file.SizeBytes];
        Assert.Equal(bytes.Length, file.Read(0, bytes));
        return bytes;
    }

    /// <summary>As SQLite writes a frame: its header, then its page.</summary>
    static byte[] UncommittedFrame()
    {
        var frame = Filled(2, FrameBytes);
        frame.AsSpan(4, 4).Clear();
        return frame;
    }

    static void WriteFrame(PlainFile file, long offset, byte[] frame)
    {
        file.Write(offset, frame.AsSpan(0, Wal.FrameHeaderBytes));
        file.Write(offset + Wal.FrameHeaderBytes, frame.AsSpan(Wal.FrameHeaderBytes));
    }

    static byte[] Filled(int value, int length)
    {
        var bytes = new byte[length];
        Array.Fill(bytes, (byte)value);
        return bytes;
    }

    [Fact]
    public void What_is_overwritten_while_hints_are_published_is_in_the_log_before_it_is_in_the_file()
    {
        var power = new PowerLossDisk();
        var disk = new TroubledDisk(power);
        var store = Store.Open(Options(disk));
        var file = store.OpenFile("a.db-wal", create: true)!;
        file.Write(0, Filled(1, Wal.HeaderBytes));
        WriteFrame(file, Wal.HeaderBytes, Filled(2, FrameBytes));
        // The hints' LSN is known by then.
        disk.DuringSync = () => WriteFrame(file, Wal.HeaderBytes, Filled(3, FrameBytes));
        store.Checkpoint();
        Assert.Null(disk.DuringSync);
        using var after = Store.Open(Options(power.AfterPowerLoss(power.Now)));
        using var found = after.OpenFile("a.db-wal", create: false)!;
        Assert.Equal(WhatTheLogSays(power.AfterPowerLoss(power.Now)), Content(found));
        file.Dispose();
        store.Dispose();
    }

    static byte[] WhatTheLogSays(PowerLossDisk disk)
    {
        foreach (var path in disk.Files.Where(f => f.Contains("/files/", StringComparison.Ordinal)
            || f.Contains("/hints-", StringComparison.Ordinal)).ToArray())
            disk.Delete(path);
        using var store = Store.Open(Options(disk));
        using var file = store.OpenFile("a.db-wal", create: false)!;
        return Content(file);
    }

    [Theory]
    [InlineData(16 << 20), InlineData(0)]
    public void A_frame_that_the_log_refuses_was_not_written(long walBuffer)
    {
        var disk = new PowerLossDisk();
        using var store = Store.Open(Options(disk, walBuffer) with { MaxLocalLogBytes = 512 << 10 });
        using var hold = store.Log.Hold("a test", 1);
        var frames = 0;
        using (var file = store.OpenFile("a.db-wal", create: true)!)
        {
            file.Write(0, Filled(1, Wal.HeaderBytes));
            var full = Assert.Throws<RecoveryException>(() =>
            {
                for (; frames < 10_000; frames++)
                    WriteFrame(file, Wal.HeaderBytes + ((long)frames * FrameBytes), Filled(frames, FrameBytes));
            });
            Assert.Equal(RecoveryError.Full, full.Error);
            Assert.False(file.HasUnloggedCommit);
        }
        using var again = store.OpenFile("a.db-wal", create: false)!;
        Assert.Equal(Wal.HeaderBytes + ((long)frames * FrameBytes), again.SizeBytes);
        store.WriteOut();
        Assert.Equal(WhatTheLogSays(disk.AfterProcessDeath()), Content(again));
    }

    [Theory, Trait(Seeds.Kind, Seeds.Random)]
    [InlineData("a.db-wal"), InlineData("a.db-journal")]
    public void Random_writes_are_read_back_and_survive_kills(string name)
        => Seeds.Run(6, random => new Model(random, name).Run());

    [Fact]
    public void A_transaction_that_spills_its_pages_again_and_again_is_logged_once()
    {
        var disk = new PowerLossDisk();
        using var store = Store.Open(Options(disk));
        using var file = store.OpenFile("a.db-wal", create: true)!;
        file.Write(0, Filled(1, Wal.HeaderBytes));
        var frame = UncommittedFrame();
        for (var i = 0; i < 10; i++) WriteFrame(file, Wal.HeaderBytes + (i * FrameBytes), frame);
        var before = store.Lsn.Last;
        for (var turn = 0; turn < 100; turn++)
            for (var i = 0; i < 10; i++)
                file.Write(Wal.HeaderBytes + (i * FrameBytes) + Wal.FrameHeaderBytes, Filled(turn, PageBytes));
        Assert.Equal(before, store.Lsn.Last);
        // The commit: its frame, then all headers anew.
        frame[7] = 11;
        WriteFrame(file, Wal.HeaderBytes + (10 * FrameBytes), frame);
        Assert.Equal(before, store.Lsn.Last);
        for (var i = 0; i < 11; i++)
        {
            frame[7] = (byte)(i == 10 ? 11 : 0);
            file.Write(Wal.HeaderBytes + (i * FrameBytes), frame.AsSpan(0, Wal.FrameHeaderBytes));
        }
        Assert.Equal(before + 11, store.Lsn.Last);
        Assert.False(file.HasUnloggedCommit);
        store.WriteOut();
        Assert.Equal(Content(file), WhatTheLogSays(disk.AfterProcessDeath()));
    }

    [Fact]
    public void A_commit_whose_checksums_are_not_computed_anew_after_all_is_logged_when_asked_for()
    {
        var disk = new PowerLossDisk();
        using var store = Store.Open(Options(disk));
        using var file = store.OpenFile("a.db-wal", create: true)!;
        file.Write(0, Filled(1, Wal.HeaderBytes));
        var frame = UncommittedFrame();
        WriteFrame(file, Wal.HeaderBytes, frame);
        file.Write(Wal.HeaderBytes + Wal.FrameHeaderBytes, Filled(3, PageBytes));
        frame[7] = 2;
        WriteFrame(file, Wal.HeaderBytes + FrameBytes, frame);
        Assert.True(file.HasUnloggedCommit);
        file.LogCommit();
        Assert.False(file.HasUnloggedCommit);
        store.WriteOut();
        Assert.Equal(Content(file), WhatTheLogSays(disk.AfterProcessDeath()));
    }

    /// <summary>A plain file as SQLite uses it, and as nobody does, against an array of bytes.</summary>
    sealed class Model(Random random, string name)
    {
        const int BytesMax = 40_000;

        readonly long walBuffer = new[] { 0L, 5_000, 20_000, 16 << 20 }[random.Next(4)];
        readonly byte[] content = new byte[BytesMax * 2];
        PowerLossDisk disk = new();
        // Frames behind the last commit's are lost with the process.
        int size, former, sure;

        bool IsWal => Wal.IsName(name);

        int ShownSize => Math.Max(size, former);

        public void Run()
        {
            var store = Store.Open(Options(disk, walBuffer));
            var file = store.OpenFile(name, create: true)!;
            for (var step = 0; step < 400; step++)
            {
                Change(file);
                Check(file);
                if (random.Next(12) == 0) store.Checkpoint();
                if (random.Next(25) != 0) continue;
                var killed = random.Next(3) > 0;
                if (random.Next(2) == 0) file.LogCommit();
                else file.Sync();
                store.WriteOut();
                if (!killed) store.Sync();
                var image = killed ? disk.AfterProcessDeath() : disk.AfterPowerLoss(random);
                file.Dispose();
                store.Dispose();
                disk = random.Next(2) == 0 ? image : disk;
                store = Store.Open(Options(disk, walBuffer));
                file = store.OpenFile(name, create: false)!;
                Lose(file.SizeBytes);
                Check(file);
            }
            file.Dispose();
            store.Dispose();
        }

        void Lose(long found)
        {
            // A size that it only showed is forgotten with the process.
            former = 0;
            Assert.InRange(found, IsWal ? sure : size, size);
            content.AsSpan((int)found, size - (int)found).Clear();
            size = (int)found;
        }

        void Change(PlainFile file)
        {
            switch (random.Next(20))
            {
                case <= 8:
                    Frame(file, size < Wal.HeaderBytes ? Wal.HeaderBytes : size);
                    break;
                case <= 10 when size > Wal.HeaderBytes + FrameBytes:
                    Frame(file, AnyFrame());
                    break;
                case 11:
                    Write(file, 0, random.Next(4) == 0 ? Wal.HeaderBytes : random.Next(1, 100));
                    break;
                case 12:
                    Write(file, random.Next(Math.Min(size + 200, BytesMax)), random.Next(1, 700));
                    break;
                case 13 when random.Next(3) == 0:
                    var cut = random.Next(3) == 0 ? 0 : random.Next(BytesMax);
                    file.Truncate(cut);
                    former = Math.Min(former, cut);
                    if (cut >= size) break;
                    content.AsSpan(cut, size - cut).Clear();
                    size = cut;
                    sure = Math.Min(sure, cut);
                    break;
                case 14:
                    // Another transaction gives up after the header of its frame.
                    if (size < BytesMax && size > 0) Write(file, size, Wal.FrameHeaderBytes);
                    if (size < BytesMax && size > 0) Frame(file, size - Wal.FrameHeaderBytes);
                    break;
                case 15:
                    file.Sync();
                    break;
                case <= 17 when size > Wal.HeaderBytes + FrameBytes:
                    Write(file, AnyFrame() + Wal.FrameHeaderBytes, PageBytes);
                    break;
                case 18 when size > Wal.HeaderBytes + FrameBytes:
                    for (var at = AnyFrame(); at + FrameBytes <= size; at += FrameBytes)
                        Write(file, at, Wal.FrameHeaderBytes, isCommit: at + (2 * FrameBytes) > size);
                    break;
            }
        }

        int AnyFrame() => Wal.HeaderBytes + (random.Next((size - Wal.HeaderBytes) / FrameBytes) * FrameBytes);

        void Frame(PlainFile file, int offset)
        {
            if (offset > BytesMax) offset = 0;
            var isCommit = random.Next(3) == 0;
            Write(file, offset, Wal.FrameHeaderBytes, isCommit);
            Write(file, offset + Wal.FrameHeaderBytes, PageBytes);
            if (isCommit) sure = offset + FrameBytes;
        }

        void Write(PlainFile file, int offset, int length, bool isCommit = false)
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            if (length == Wal.FrameHeaderBytes) bytes.AsSpan(4, 4).Fill((byte)(isCommit ? 1 : 0));
            file.Write(offset, bytes);
            if (IsWal && offset == 0 && size > 0)
            {
                former = ShownSize;
                content.AsSpan().Clear();
                (size, sure) = (0, 0);
            }
            bytes.CopyTo(content, offset);
            size = Math.Max(size, offset + length);
        }

        void Check(PlainFile file)
        {
            Assert.Equal(ShownSize, file.SizeBytes);
            Assert.Equal(content[..ShownSize], Content(file));
            var offset = random.Next(ShownSize + 10);
            var part = new byte[random.Next(1, 2000)];
            var expected = Math.Clamp(ShownSize - offset, 0, part.Length);
            Assert.Equal(expected, file.Read(offset, part));
            Assert.Equal(content[offset..(offset + expected)], part[..expected]);
        }
    }
}
