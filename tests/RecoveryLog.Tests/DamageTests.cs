using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>Damage is reported with its place; it is never returned as data, and never cut.</summary>
public sealed class DamageTests
{
    /// <summary>A log of synced records over several segments.</summary>
    static (PowerLossDisk Disk, int Records) Written(Random random, bool groups = false)
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk);
        while (log.LastLsn < 150)
        {
            if (groups && random.Next(3) == 0)
            {
                using var group = log.BeginGroup();
                group.Add(RecordKind.Noted, Bytes(random, random.Next(300)));
                group.Complete(RecordKind.Noted, Bytes(random, random.Next(300)));
            }
            else
                log.Append(RecordKind.Noted, Bytes(random, random.Next(300)));
            log.Sync(log.LastLsn);
        }
        return (disk, (int)log.LastLsn);
    }

    /// <summary>Where each record of a segment lies.</summary>
    static List<(ulong Lsn, long Offset, int Size)> Layout(PowerLossDisk disk, string path)
    {
        var bytes = disk.Contents(path);
        var seed = SegmentFormat.Read(bytes, path).Seed;
        var result = new List<(ulong, long, int)>();
        for (long at = SegmentFormat.HeaderBytes;
            RecordFormat.TryRead(bytes.AsSpan((int)at), seed, out var record, out var size); at += size)
            result.Add((record.Lsn, at, size));
        return result;
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_flipped_bit_anywhere_is_reported_with_file_offset_and_LSN()
    {
        Seeds.Run(150, random =>
        {
            var (disk, _) = Written(random, groups: random.Next(2) == 0);
            var segments = disk.Files.Where(f => f.EndsWith(".log")).ToList();
            var path = segments[random.Next(segments.Count)];
            var records = Layout(disk, path);
            if (records.Count == 0)
                return;
            var hit = records[random.Next(records.Count)];
            disk.FlipBit(path, hit.Offset + random.Next(hit.Size), random.Next(8));
            var before = disk.Now;
            var found = new List<Kept>();
            var e = Throws(RecoveryError.Corrupt, () => Open(disk, into: found));
            Assert.Contains(path, e.Message);
            Assert.Contains($"offset {hit.Offset}:", e.Message);
            Assert.Contains($"LSN {hit.Lsn} ", e.Message);
            Assert.Equal((path, hit.Lsn), (e.Path, e.Lsn));
            Assert.All(found, r => Assert.True(r.Lsn < hit.Lsn));
            Assert.Equal(before, disk.Now);
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void What_one_sync_made_durable_for_many_is_not_cut_after_a_kill()
    {
        Seeds.Run(60, random =>
        {
            var disk = new PowerLossDisk();
            using var log = Open(disk);
            log.Sync(log.Append(RecordKind.Noted, Bytes(random, 20)));
            // None of these says that another one is durable.
            for (var i = 0; i < 10; i++) log.Append(RecordKind.Noted, Bytes(random, random.Next(100)));
            log.Sync(log.LastLsn);
            log.Append(RecordKind.Noted, Bytes(random, 30));
            log.WriteOut(log.LastLsn);
            var killed = disk.AfterProcessDeath();
            var hit = Layout(killed, SegmentPath(1))[1 + random.Next(10)];
            killed.FlipBit(SegmentPath(1), hit.Offset + random.Next(hit.Size), random.Next(8));
            var e = Throws(RecoveryError.Corrupt, () => Open(killed));
            Assert.Contains($"LSN {hit.Lsn} ", e.Message);
        });
    }

    [Fact]
    public void What_was_written_and_never_synced_may_be_cut()
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk);
        log.Sync(log.Append(RecordKind.Noted, Text("kept")));
        log.Append(RecordKind.Noted, Text("torn"));
        log.WriteOut(log.LastLsn);
        var killed = disk.AfterProcessDeath();
        killed.FlipBit(SegmentPath(1), Layout(killed, SegmentPath(1))[1].Offset + 9, 1);
        Assert.Single(Replayed(killed));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_flipped_bit_in_a_header_is_reported()
    {
        Seeds.Run(60, random =>
        {
            var (disk, _) = Written(random);
            var segments = disk.Files.Where(f => f.EndsWith(".log")).ToList();
            var path = segments[random.Next(segments.Count)];
            disk.FlipBit(path, random.Next(SegmentFormat.HeaderBytes), random.Next(8));
            var e = Assert.Throws<RecoveryException>(() => Open(disk));
            Assert.True(e.Error is RecoveryError.Corrupt or RecoveryError.TooNew, e.Message);
            Assert.Contains(path, e.Message);
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_cursor_reports_damage_instead_of_data()
    {
        Seeds.Run(30, random =>
        {
            var disk = new PowerLossDisk();
            using var log = Open(disk);
            for (var i = 0; i < 100; i++)
                log.Append(RecordKind.Noted, Bytes(random, 100));
            log.Sync(100);
            var path = SegmentPath(1);
            var hit = Layout(disk, path)[random.Next(40)];
            disk.FlipBit(path, hit.Offset + random.Next(hit.Size), random.Next(8));
            using var cursor = log.ReadFrom(1);
            var e = Throws(RecoveryError.Corrupt, () =>
            {
                while (cursor.TryRead(out _)) { }
            });
            Assert.Equal(hit.Lsn, cursor.NextLsn);
            Assert.Contains($"offset {hit.Offset}:", e.Message);
        });
    }

    [Fact]
    public void Missing_and_foreign_segments_are_named()
    {
        var (disk, last) = Written(new Random(1));
        var segments = disk.Files.Where(f => f.EndsWith(".log")).ToList();
        Assert.True(segments.Count >= 3);

        var withoutMiddle = disk.AfterProcessDeath();
        withoutMiddle.Delete(segments[1]);
        var e = Throws(RecoveryError.Corrupt, () => Open(withoutMiddle));
        Assert.Contains("segments are missing", e.Message);
        Assert.Equal((ulong)last, Replayed(withoutMiddle, replayFrom: (ulong)last)[^1].Lsn);
        Assert.DoesNotContain(segments[0], withoutMiddle.Files);

        var withoutFirst = disk.AfterProcessDeath();
        withoutFirst.Delete(segments[0]);
        Throws(RecoveryError.Corrupt, () => Open(withoutFirst));

        var withoutLast = disk.AfterProcessDeath();
        withoutLast.Delete(segments[^1]);
        Throws(RecoveryError.Corrupt, () => Open(withoutLast, replayFrom: (ulong)last));

        var renamed = disk.AfterProcessDeath();
        renamed.Rename(segments[^1], SegmentPath(9999));
        Throws(RecoveryError.Corrupt, () => Open(renamed));

        var other = new PowerLossDisk();
        using (var log = Open(other, Small with { LogId = Guid.NewGuid() }))
            log.Sync(log.Append(RecordKind.Noted, new byte[10]));
        other.Put(segments[1], disk.Contents(segments[1]));
        Throws(RecoveryError.Corrupt, () => Open(other, Small with { LogId = null }));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Any_bytes_at_all_make_a_log_or_an_error_of_ours()
    {
        Seeds.Run(300, random =>
        {
            var (disk, _) = Written(random);
            var files = disk.Files.Where(f => f.EndsWith(".log")).ToList();
            var path = files[random.Next(files.Count)];
            var bytes = disk.Contents(path);
            for (var i = random.Next(1, 20); i > 0; i--)
            {
                var at = random.Next(bytes.Length);
                random.NextBytes(bytes.AsSpan(at, Math.Min(random.Next(1, 40), bytes.Length - at)));
            }
            disk.Put(path, random.Next(4) == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                Open(disk).Dispose();
            }
            catch (RecoveryException)
            {
            }
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Record_bytes_that_are_not_a_record_are_no_record()
    {
        Seeds.Run(200, random =>
        {
            var bytes = new byte[RecordFormat.SizeOf(50)];
            RecordFormat.Write(bytes, 7, 5, RecordKind.Noted, 0, 1, 1, Bytes(random, 50));
            Assert.True(RecordFormat.TryRead(bytes, 7, out _, out _));
            Assert.False(RecordFormat.TryRead(bytes, 8, out _, out _));
            Assert.False(RecordFormat.TryRead(bytes.AsSpan(0, random.Next(bytes.Length)), 7, out _, out _));
            bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            Assert.False(RecordFormat.TryRead(bytes, 7, out _, out _));
            Assert.False(RecordFormat.TryRead(new byte[100], 0, out _, out _));
            RecordFormat.TryRead(Bytes(random, random.Next(100)), 0, out _, out _);
        });
    }
}
