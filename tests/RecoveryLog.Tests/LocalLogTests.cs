using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

public sealed class LocalLogTests
{
    [Fact]
    public void Records_come_back_in_order_after_a_reopen()
    {
        var disk = new PowerLossDisk();
        var expected = new List<Kept>();
        using (var log = Open(disk))
        {
            Assert.Equal(0ul, log.LastLsn);
            for (var i = 0; i < 500; i++)
            {
                var body = Text($"record {i} {new string('x', i % 97)}");
                var lsn = log.Append(RecordKind.Noted, body.AsSpan(0, 3), body.AsSpan(3, 2), body.AsSpan(5));
                Assert.Equal((ulong)i + 1, lsn);
                expected.Add(new Kept(lsn, RecordKind.Noted, 0, Convert.ToHexString(body)));
            }
            log.Sync(log.LastLsn);
            Assert.Equal(500ul, log.DurableLsn);
        }
        Assert.Equal(expected, Replayed(disk));
        Assert.Equal(expected.Skip(321), Replayed(disk, replayFrom: 322));
        using var again = Open(disk, replayFrom: 501);
        Assert.Equal(500ul, again.LastLsn);
        Assert.Equal(501ul, again.Append(RecordKind.Noted, Text("more")));
        Assert.Equal(Id, again.LogId);
    }

    [Fact]
    public void A_record_knows_its_time_and_what_was_durable_before_it()
    {
        var disk = new PowerLossDisk();
        using (var log = Open(disk))
        {
            log.Append(RecordKind.Noted, Text("a"));
            log.Append(RecordKind.Noted, Text("b"));
            log.Sync(2);
            log.Append(RecordKind.FileDeleted, Text("c"), flags: 0x80);
            log.Sync(3);
        }
        var seen = new List<(ulong, long, uint, ulong, byte)>();
        LocalLog.Open(disk, Dir, Small, 1, (in Record r)
            => seen.Add((r.Lsn, r.UnixTimeMs, r.Undurable, r.DurableBefore, r.Flags))).Dispose();
        Assert.Equal(
            [(1, 1_700_000_000_123, 1, 0, 0), (2, 1_700_000_000_123, 2, 0, 0), (3, 1_700_000_000_123, 1, 2, 0x80)],
            seen);
    }

    [Fact]
    public void A_small_append_and_sync_cost_one_write_to_the_log_one_to_its_mark_one_sync_and_no_allocation()
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk, Small with { FirstSegmentBytes = 1 << 20 });
        var body = new byte[100];
        for (var i = 0; i < 50; i++)
            log.Sync(log.Append(RecordKind.PageCommit, body));
        var (writes, syncs) = (disk.Count(DiskCall.Write), disk.Count(DiskCall.SyncData));
        log.Sync(log.Append(RecordKind.PageCommit, body));
        Assert.Equal((writes + 2, syncs + 1), (disk.Count(DiskCall.Write), disk.Count(DiskCall.SyncData)));

        var directory = Directory.CreateTempSubdirectory("recoverylog");
        try
        {
            using var real =
                LocalLog.Open(LocalDisk.Instance, directory.FullName, new LogOptions { PrepareInBackground = false });
            for (var i = 0; i < 10; i++)
                real.Sync(real.Append(RecordKind.PageCommit, body));
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 100; i++)
                real.Sync(real.Append(RecordKind.PageCommit, body, body));
            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void Segments_grow_with_the_log_and_their_spares_survive_reopening()
    {
        var disk = new PowerLossDisk();
        var options = Small with { SegmentBytes = 32768, FirstSegmentBytes = 4096 };
        long[] Sizes(string name)
            => [.. disk.Files.Where(f => f.Contains(name, StringComparison.Ordinal))
                .Select(f => disk.Contents(f).LongLength)];
        ulong last;
        using (var log = Open(disk, options))
        {
            for (var i = 0; i < 90; i++) log.Append(RecordKind.PageCommit, new byte[900]);
            Assert.Equal([4096, 16384, 32768, 32768], Sizes(".log"));
            log.DropBefore(log.LastLsn);
            log.Sync(log.LastLsn);
            Assert.Equal([32768], Sizes("spare-"));
            last = log.LastLsn;
        }
        using (Open(disk, options, last)) Assert.Equal([32768], Sizes("spare-"));
        // One of another size would never be used.
        using (Open(disk, options with { SegmentBytes = 16384 }, last)) Assert.Empty(Sizes("spare-"));
    }

    [Fact]
    public void Much_that_nobody_waits_for_is_synced_all_the_same()
    {
        var disk = new PowerLossDisk();
        var options = Small with { SegmentBytes = 16 << 20, FirstSegmentBytes = 16 << 20, PrepareInBackground = true };
        using var log = Open(disk, options);
        for (var i = 0; i < 100; i++) log.Append(RecordKind.PageCommit, new byte[30_000]);
        Assert.True(SpinWait.SpinUntil(() => log.DurableLsn > 0, TimeSpan.FromSeconds(30)));

        disk.Fail(DiskCall.SyncData, 1, RecoveryError.IoSync, ".log");
        var refused = Assert.Throws<RecoveryException>(() =>
        {
            for (var i = 0; i < 100_000; i++) log.Append(RecordKind.PageCommit, new byte[30_000]);
        });
        // By the sync ahead, or at the segment's end by its own, should that come first; from then on the log takes
        // nothing.
        Assert.Contains("Injected: SyncData", refused.Message);
        var after = Assert.Throws<RecoveryException>(() => log.Append(RecordKind.PageCommit, new byte[10])).Message;
        Assert.Contains("Injected: SyncData", after);
        Assert.Contains("Reopen", after);
    }

    [Fact]
    public void A_group_is_there_whole_or_not_at_all()
    {
        var disk = new PowerLossDisk();
        using (var log = Open(disk))
        {
            log.Append(RecordKind.Noted, Text("before"));
            using (var group = log.BeginGroup())
            {
                Assert.Equal(2ul, group.Add(RecordKind.Noted, Text("one")));
                group.Add(RecordKind.Noted, new byte[3000]);
                Assert.Equal(1ul, log.LastLsn);
                Assert.Equal(4ul, group.Complete(RecordKind.Noted, Text("last")));
            }
            using (var group = log.BeginGroup())
            {
                for (var i = 0; i < 20; i++)
                    group.Add(RecordKind.Noted, new byte[1500]);
            }
            Assert.Equal(4ul, log.LastLsn);
            Assert.Equal(5ul, log.Append(RecordKind.Noted, Text("after")));
            log.Sync(5);
        }
        var found = Replayed(disk);
        Assert.Equal([1, 2, 3, 4, 5], found.Select(r => r.Lsn));
        Assert.Equal([0, 1, 1, 0, 0], found.Select(r => r.Flags));
        Assert.Equal(Convert.ToHexString(Text("after")), found[^1].Body);
    }

    [Fact]
    public void A_group_larger_than_a_segment_makes_the_segment_grow()
    {
        var disk = new PowerLossDisk();
        var random = new Random(5);
        var bodies = Enumerable.Range(0, 30).Select(_ => Bytes(random, 10_000)).ToList();
        using (var log = Open(disk))
        {
            log.Append(RecordKind.Noted, Text("before"));
            using (var group = log.BeginGroup())
            {
                foreach (var body in bodies)
                    group.Add(RecordKind.PageCommit, body.AsSpan(0, 17), body.AsSpan(17));
                group.Complete(RecordKind.PageCommit, Text("end"), writeOut: true);
            }
            Assert.Equal(log.LastLsn, log.WrittenLsn);
            log.Append(RecordKind.Noted, Text("after"));
            log.Sync(log.LastLsn);
        }
        var found = Replayed(disk);
        Assert.Equal(33, found.Count);
        Assert.Equal(bodies.Select(Convert.ToHexString), found.Skip(1).Take(30).Select(r => r.Body));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Large_records_go_through_and_small_ones_around_them_stay_in_order()
    {
        Seeds.Run(10, random =>
        {
            var disk = new PowerLossDisk();
            var expected = new List<string>();
            using (var log = Open(disk))
            {
                for (var i = 0; i < 40; i++)
                {
                    var body = Bytes(random, random.Next(3) == 0 ? random.Next(3000, 30_000) : random.Next(0, 200));
                    var cut = random.Next(body.Length + 1);
                    log.Append(RecordKind.FileWritten, body.AsSpan(0, cut), body.AsSpan(cut),
                        writeOut: random.Next(4) == 0);
                    expected.Add(Convert.ToHexString(body));
                    if (random.Next(5) == 0)
                        log.Sync(log.LastLsn);
                }
                log.Sync(log.LastLsn);
            }
            Assert.Equal(expected, Replayed(disk).Select(r => r.Body));
        });
    }

    [Fact]
    public void Dropped_segments_are_recycled_and_their_bytes_never_verify()
    {
        var disk = new PowerLossDisk();
        var log = Open(disk);
        for (var i = 0; i < 400; i++)
        {
            log.Append(RecordKind.Noted, new byte[100]);
            log.Sync(log.LastLsn);
            if (i % 50 == 49)
                log.DropBefore(log.LastLsn);
        }
        Assert.Contains(disk.Files, f => f.Contains("spare-"));
        Assert.True(log.SizeBytes <= 4 * 8192);
        // As after a crash: the newest segment lives in a recycled file full of older records.
        var found = Replayed(disk, replayFrom: log.FirstLsn);
        Assert.Equal(log.LastLsn, found[^1].Lsn);
        Assert.Equal(found.Select(r => r.Lsn).Order(), found.Select(r => r.Lsn));
        Throws(RecoveryError.Corrupt, () => Replayed(disk, replayFrom: log.FirstLsn - 1));
        // Not one record of the segment that lived in the file before verifies in this one, whatever its LSN.
        var path = disk.Files.Last(f => f.EndsWith(".log"));
        var bytes = disk.Contents(path);
        var seed = SegmentFormat.Read(bytes, path).Seed;
        var at = SegmentFormat.HeaderBytes;
        while (RecordFormat.TryRead(bytes.AsSpan(at), seed, out _, out var size))
            at += size;
        Assert.Contains(bytes.AsSpan(at).ToArray(), b => b != 0);
        for (; at < bytes.Length; at += RecordFormat.Alignment)
            Assert.False(RecordFormat.TryRead(bytes.AsSpan(at), seed, out _, out _));
    }

    [Fact]
    public void A_segment_that_a_large_group_made_long_is_ended_so_that_it_can_be_dropped()
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk, Small with { MaxLogBytes = 20 * 8192 });
        log.Append(RecordKind.Noted, new byte[100]);
        log.EndLongSegment();
        Assert.Equal(1ul, log.FirstLsn);
        Assert.Single(disk.Files, f => f.EndsWith(".log"));
        using (var reservation = log.Reserve(12 * 8192))
        using (var group = log.BeginGroup(reservation))
        {
            for (var i = 0; i < 11; i++) group.Add(RecordKind.Noted, new byte[8192]);
            group.Complete(RecordKind.Noted, new byte[100]);
        }
        log.DropBefore(log.LastLsn + 1);
        Assert.True(log.SizeBytes > 11 * 8192);
        Throws(RecoveryError.Full, () => log.Reserve(12 * 8192));
        log.EndLongSegment();
        log.DropBefore(log.LastLsn + 1);
        Assert.Equal(8192, log.SizeBytes);
        log.Reserve(12 * 8192).Dispose();
        var last = log.Append(RecordKind.Noted, new byte[100]);
        log.Sync(last);
        Assert.Equal(14ul, last);
        Assert.Equal(last, Replayed(disk, replayFrom: last)[^1].Lsn);
    }

    [Fact]
    public void A_hold_keeps_segments_until_it_moves()
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk);
        using var hold = log.Hold("the shipper", 1);
        for (var i = 0; i < 300; i++)
            log.Append(RecordKind.Noted, new byte[100]);
        log.Sync(300);
        log.DropBefore(300);
        Assert.Equal(1ul, log.FirstLsn);
        hold.Move(150);
        log.DropBefore(0);
        Assert.InRange(log.FirstLsn, 80ul, 150ul);
        hold.Dispose();
        log.DropBefore(0);
        Assert.True(log.FirstLsn > 200);
        Throws(RecoveryError.NotFound, () => log.Hold("late", 1));
        Throws(RecoveryError.NotFound, () => log.ReadFrom(1));
    }

    [Fact]
    public void A_bounded_log_says_who_holds_it()
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk, Small with { MaxLogBytes = 3 * 8192 });
        using var hold = log.Hold("the shipper", 1);
        var e = Throws(RecoveryError.Full, () =>
        {
            for (var i = 0; i < 1000; i++)
            {
                log.Append(RecordKind.Noted, new byte[100]);
                log.DropBefore(log.LastLsn);
            }
        });
        Assert.Contains("the shipper", e.Message);
        log.EnqueueEvent(RecordKind.Noted, new byte[8000]); // events go on
        log.AppendEvents();
        hold.Move(log.LastLsn);
        log.DropBefore(log.LastLsn);
        log.Append(RecordKind.Noted, new byte[100]);
    }

    [Fact]
    public void Events_come_before_what_is_appended_next_and_are_told_in_order()
    {
        var told = new List<Kept>();
        var disk = new PowerLossDisk();
        using var log = Open(disk, Small with { EventBytes = 100, OnAppended = (in Record r) => told.Add(Kept.Of(r)) });
        log.EnqueueEvent(RecordKind.FileCreated, Text("a"));
        log.EnqueueEvent(RecordKind.FileSealed, Text("b"), Text("c"));
        log.Append(RecordKind.Noted, Text("d"));
        using (var group = log.BeginGroup())
        {
            group.Add(RecordKind.Noted, Text("e"));
            group.Complete(RecordKind.PageCommit, Text("pages"));
        }
        using (var group = log.BeginGroup())
            group.Add(RecordKind.Noted, Text("never"));
        log.EnqueueEvent(RecordKind.Noted, new byte[90]);
        Assert.Equal(5ul, log.LastLsn);
        log.EnqueueEvent(RecordKind.Noted, new byte[90]); // the bound: the sender appends
        Assert.Equal(6ul, log.LastLsn);
        log.AppendEvents();
        Assert.Equal(7ul, log.LastLsn);
        Assert.Equal(["61", "6263", "64", "65", ""], told.Take(5).Select(r => r.Body));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7], told.Select(r => r.Lsn));
    }

    [Fact]
    public void A_restored_store_starts_its_log_where_it_says_and_a_missing_log_is_an_error()
    {
        var disk = new PowerLossDisk();
        var e = Throws(RecoveryError.Corrupt, () => Open(disk, replayFrom: 5));
        Assert.Contains("LSN 5", e.Message);
        using (var log = Open(disk, Small with { CreateAt = 100 }, replayFrom: 100))
            Assert.Equal(100ul, log.Append(RecordKind.Noted, Text("a"), writeOut: true));
        Assert.Equal([100ul], Replayed(disk, replayFrom: 100).Select(r => r.Lsn));
        Throws(RecoveryError.Corrupt, () => Open(disk, replayFrom: 99));
        Throws(RecoveryError.Corrupt, () => Open(disk, replayFrom: 102));
        Throws(RecoveryError.Corrupt, () => Open(disk, Small with { LogId = Guid.NewGuid() }, replayFrom: 100));
    }

    [Fact]
    public void Reading_only_changes_nothing()
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk);
        log.Append(RecordKind.Noted, Text("a"));
        using (var group = log.BeginGroup())
        {
            group.Add(RecordKind.Noted, new byte[5000]); // written through: a torn group for who reads now
            log.EnqueueEvent(RecordKind.Noted, Text("event"));
            var before = disk.Now;
            var found = new List<Kept>();
            using (var reader = Open(disk, Small with { ReadOnly = true }, into: found))
            {
                Throws(RecoveryError.ReadOnly, () => reader.Append(RecordKind.Noted, Text("b")));
                Throws(RecoveryError.ReadOnly, () => reader.DropBefore(1));
            }
            Assert.Equal([1ul], found.Select(r => r.Lsn));
            Assert.Equal(before, disk.Now);
        }
        Throws(RecoveryError.Corrupt, () => Open(new PowerLossDisk(), Small with { ReadOnly = true }));
    }

    [Fact]
    public void A_newer_format_is_refused_by_name()
    {
        var disk = new PowerLossDisk();
        Open(disk).Dispose();
        var bytes = disk.Contents(SegmentPath(1));
        bytes[8] = 2;
        disk.Put(SegmentPath(1), bytes);
        var e = Throws(RecoveryError.TooNew, () => Open(disk));
        Assert.Contains(SegmentPath(1), e.Message);
    }
}
