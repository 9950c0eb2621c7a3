using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>A log is read from its files while another writes, drops, recycles and reopens it.</summary>
public sealed class LogTailTests
{
    readonly PowerLossDisk disk = new();

    static LogOptions Recycling => Small with { SpareSegments = 3, SegmentBytes = 4096, FirstSegmentBytes = 4096 };

    LogTail? Tail(ulong from = 1) => LogTail.TryOpen(disk, Dir, from);

    static List<Kept> Advance(LogTail tail)
    {
        var got = new List<Kept>();
        Assert.True(tail.TryAdvance((in Record r) => got.Add(Kept.Of(r))));
        return got;
    }

    [Fact]
    public void It_takes_what_is_written_and_no_more()
    {
        using var log = Open(disk);
        var tail = Tail()!;
        Assert.Empty(Advance(tail));
        log.Append(RecordKind.Noted, Text("one"));
        Assert.Empty(Advance(tail)); // in the writer's buffer
        log.WriteOut(1);
        Assert.Equal(1ul, Advance(tail).Single().Lsn);
        Assert.Empty(Advance(tail));
        using (var group = log.BeginGroup())
        {
            group.Add(RecordKind.Noted, new byte[3000]);
            group.Add(RecordKind.Noted, new byte[3000]);
            Assert.Empty(Advance(tail)); // a part of it is in the file
            group.Complete(RecordKind.Noted, Text("end"), writeOut: true);
        }
        Assert.Equal([2ul, 3, 4], Advance(tail).Select(r => r.Lsn));
        Assert.Equal(5ul, tail.NextLsn);
    }

    [Fact]
    public void An_abandoned_group_was_never_there()
    {
        using var log = Open(disk);
        var tail = Tail()!;
        using (var group = log.BeginGroup())
        {
            group.Add(RecordKind.Noted, new byte[3000]);
            group.Add(RecordKind.Noted, new byte[3000]);
            Assert.Empty(Advance(tail));
        }
        log.Append(RecordKind.Noted, Text("another"), writeOut: true);
        Assert.Equal(Convert.ToHexString(Text("another")), Advance(tail).Single().Body);
    }

    [Fact]
    public void A_tail_whose_place_was_recycled_says_so_and_one_at_the_end_goes_on()
    {
        using var log = Open(disk, Recycling);
        var behind = Tail()!;
        log.Append(RecordKind.Noted, Text("first"), writeOut: true);
        Advance(behind);
        for (var i = 0; i < 60; i++) log.Append(RecordKind.Noted, new byte[300], writeOut: true);
        var ahead = Tail()!;
        Assert.Equal(61, Advance(ahead).Count);
        log.DropBefore(60);
        for (var i = 0; i < 60; i++) log.Append(RecordKind.Noted, new byte[300], writeOut: true);
        Assert.Equal(60, Advance(ahead).Count);
        Assert.False(behind.TryAdvance((in Record _) => Assert.Fail("nothing of it is there")));
        Assert.False(behind.IsWithinGroup);
        Assert.Null(Tail(2));
        Assert.NotNull(Tail(log.FirstLsn));
    }

    [Fact]
    public void A_record_that_was_taken_and_wiped_is_noticed()
    {
        using var log = Open(disk);
        log.Append(RecordKind.Noted, Text("durable"));
        log.Sync(1);
        log.Append(RecordKind.Noted, Text("not durable"), writeOut: true);
        var tail = Tail()!;
        Assert.Equal(2, Advance(tail).Count);
        using (var file = disk.Open(SegmentPath(1), LogFileMode.Write))
        {
            // As a writer does whose sync failed.
            var at = SegmentFormat.HeaderBytes + RecordFormat.SizeOf("durable".Length);
            file.Write(at, new byte[RecordFormat.SizeOf("not durable".Length)]);
        }
        Assert.False(tail.TryAdvance((in Record _) => { }));
        Assert.Single(Advance(Tail()!));
    }

    [Fact]
    public void Another_log_in_its_place_is_not_taken_for_it()
    {
        using (var log = Open(disk)) log.Append(RecordKind.Noted, Text("one"), writeOut: true);
        var tail = Tail()!;
        var before = Tail()!;
        Advance(tail);
        disk.Delete(SegmentPath(1));
        using (var other = Open(disk, Small with { LogId = Guid.NewGuid() }))
            other.Append(RecordKind.Noted, Text("two"), writeOut: true);
        Assert.False(tail.TryAdvance((in Record _) => Assert.Fail("of another log")));
        Assert.False(before.TryAdvance((in Record _) => Assert.Fail("of another log")));
    }

    [Fact]
    public void Whatever_the_writer_does_a_tail_has_all_of_it_in_order()
        => Seeds.Run(20, static random => new LogTailTests().Follow(random));

    void Follow(Random random)
    {
        var written = new List<Kept>();
        var taken = new List<Kept>();
        var log = Open(disk, Recycling);
        var tail = Tail()!;
        var lost = 0;
        for (var step = 0; step < 400; step++)
        {
            switch (random.Next(12))
            {
                case 0:
                    log.Dispose();
                    log = Open(disk, Recycling, log.FirstLsn);
                    break;
                case 1:
                    log.DropBefore((ulong)Math.Max(1, (long)log.LastLsn - random.Next(30)));
                    break;
                case 2:
                    log.Sync(log.LastLsn);
                    break;
                case 3:
                    using (var group = log.BeginGroup())
                    {
                        for (var i = random.Next(1, 4); i > 0; i--)
                            group.Add(RecordKind.Noted, Bytes(random, random.Next(3000)));
                    }
                    break;
                case 4:
                    using (var group = log.BeginGroup())
                    {
                        for (var i = random.Next(1, 4); i > 0; i--)
                        {
                            var part = Bytes(random, random.Next(1500));
                            written.Add(new Kept(group.Add(RecordKind.Noted, part), RecordKind.Noted,
                                RecordFlags.Continues, Convert.ToHexString(part)));
                        }
                        var end = Bytes(random, random.Next(100));
                        written.Add(new Kept(group.Complete(RecordKind.Noted, end, writeOut: true), RecordKind.Noted, 0,
                            Convert.ToHexString(end)));
                    }
                    break;
                default:
                    var body = Bytes(random, random.Next(random.Next(10) == 0 ? 6000 : 200));
                    written.Add(new Kept(log.Append(RecordKind.Noted, body, writeOut: random.Next(3) > 0),
                        RecordKind.Noted, 0, Convert.ToHexString(body)));
                    break;
            }
            if (random.Next(4) != 0) continue;
            if (tail.TryAdvance((in Record r) => taken.Add(Kept.Of(r))))
            {
                Assert.True(tail.NextLsn > log.WrittenLsn,
                    $"LSN {tail.NextLsn} is next, and {log.WrittenLsn} is written");
                continue;
            }
            // Behind by so much that its place is gone: as a reader that begins with newer files.
            lost++;
            Assert.True(tail.NextLsn < log.FirstLsn + 40);
            tail = Tail(log.FirstLsn)!;
            taken.RemoveRange((int)Math.Min(log.FirstLsn - 1, (ulong)taken.Count),
                taken.Count - (int)Math.Min(log.FirstLsn - 1, (ulong)taken.Count));
            while ((ulong)taken.Count < log.FirstLsn - 1) taken.Add(written[taken.Count]);
        }
        log.Dispose();
        if (!tail.TryAdvance((in Record r) => taken.Add(Kept.Of(r)))) return;
        Assert.Equal(written, taken);
        Assert.True(lost < 100);
    }
}
