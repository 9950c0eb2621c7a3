using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>A disk that refuses: what failed left nothing behind, and the log goes on, unless a sync failed.</summary>
public sealed class FaultTests
{
    [Theory]
    [InlineData(RecoveryError.Full)]
    [InlineData(RecoveryError.IoWrite)]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_failed_write_leaves_the_log_at_its_last_good_record(RecoveryError error)
    {
        Seeds.Run(80, random =>
        {
            var disk = new PowerLossDisk();
            var expected = new List<string>();
            var failures = 0;
            using (var log = Open(disk))
            {
                for (var i = 0; i < 60; i++)
                {
                    var bodies = Enumerable.Range(0, random.Next(1, 5))
                        .Select(_ => Bytes(random, random.Next(6) == 0 ? 6000 : random.Next(400))).ToList();
                    if (random.Next(3) == 0)
                        disk.Fail(random.Next(4) == 0 ? DiskCall.Open : DiskCall.Write, random.Next(1, 4), error);
                    var last = log.LastLsn;
                    try
                    {
                        using var group = log.BeginGroup();
                        foreach (var body in bodies.SkipLast(1))
                            group.Add(RecordKind.Noted, body);
                        group.Complete(RecordKind.Noted, bodies[^1], writeOut: true);
                        expected.AddRange(bodies.Select(Convert.ToHexString));
                        Assert.Equal(last + (ulong)bodies.Count, log.LastLsn);
                    }
                    catch (RecoveryException e) when (e.Error == error)
                    {
                        failures++;
                        Assert.Equal(last, log.LastLsn);
                        // What failed is not found by whoever opens the log after this process dies here.
                        disk.ClearFaults();
                        Assert.Equal(expected.Count, Replayed(disk.AfterProcessDeath()).Count);
                    }
                    disk.ClearFaults();
                    Assert.Null(log.Poison);
                }
                log.Sync(log.LastLsn);
            }
            Assert.Equal(expected, Replayed(disk).Select(r => r.Body));
        });
    }

    [Fact]
    public void A_failed_write_out_can_be_repeated()
    {
        var disk = new PowerLossDisk();
        using var log = Open(disk);
        log.Append(RecordKind.Noted, Text("a"));
        disk.Fail(DiskCall.Write, 1, RecoveryError.IoWrite);
        Throws(RecoveryError.IoWrite, () => log.Sync(1));
        Assert.Equal(0ul, log.WrittenLsn);
        log.Sync(1);
        Assert.Equal(1ul, log.DurableLsn);
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_failed_sync_poisons_the_log_and_what_was_not_durable_is_gone()
    {
        Seeds.Run(40, random =>
        {
            var disk = new PowerLossDisk();
            using var log = Open(disk);
            for (var i = random.Next(1, 30); i > 0; i--)
                log.Append(RecordKind.Noted, Bytes(random, random.Next(300)));
            log.Sync(log.LastLsn);
            var durable = log.DurableLsn;
            var waiting = log.WhenWritten(durable + 2);
            log.Append(RecordKind.Noted, Text("will fail"), writeOut: true);
            disk.Fail(DiskCall.SyncData, 1, RecoveryError.IoSync);
            Throws(RecoveryError.IoSync, () => log.Sync(log.LastLsn));
            Assert.Equal(durable, log.DurableLsn);
            Throws(RecoveryError.ReadOnly, () => log.Append(RecordKind.Noted, Text("no")));
            Assert.ThrowsAny<RecoveryException>(() => log.Sync(log.LastLsn));
            Throws(RecoveryError.ReadOnly, () => log.Reserve(10));
            Assert.True(waiting.IsFaulted);
            var syncs = disk.Count(DiskCall.SyncData);
            log.Dispose();
            Assert.Equal(syncs, disk.Count(DiskCall.SyncData));
            Assert.Equal(durable, (ulong)Replayed(disk).Count);
        });
    }

    [Fact]
    public void What_a_dead_process_failed_to_sync_is_written_again_before_it_counts()
    {
        // The kernel forgets that pages are dirty when their write-back fails; the next process reads them all the
        // same.
        var disk = new PowerLossDisk();
        var log = Open(disk);
        log.Append(RecordKind.Noted, Text("in memory only"), writeOut: true);
        var next = disk.AfterProcessDeath();
        using (var file = next.Open(SegmentPath(1), LogFileMode.Write))
        {
            next.Fail(DiskCall.SyncData, 1, RecoveryError.IoSync);
            Assert.Throws<RecoveryException>(file.SyncData);
        }
        Assert.Single(Replayed(next));
        Assert.Single(Replayed(next.AfterPowerLoss(next.OldestPending)));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_failed_sync_when_the_segment_changes_poisons_too()
    {
        Seeds.Run(30, random =>
        {
            var disk = new PowerLossDisk();
            using var log = Open(disk);
            log.Sync(log.Append(RecordKind.Noted, Text("durable")));
            disk.Fail(DiskCall.SyncData, 1, RecoveryError.IoSync, ".log");
            Throws(RecoveryError.IoSync, () =>
            {
                for (var i = 0; i < 1000; i++)
                    log.Append(RecordKind.Noted, Bytes(random, random.Next(500)));
            });
            Assert.Contains(SegmentPath(1), log.Poison?.Message);
            Assert.Single(Replayed(disk));
        });
    }

    [Theory]
    [InlineData(DiskCall.Write)]
    [InlineData(DiskCall.Open)]
    [InlineData(DiskCall.SyncData)]
    [InlineData(DiskCall.Rename)]
    [InlineData(DiskCall.SyncDirectory)]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Any_single_failure_at_any_moment_loses_nothing_durable(DiskCall call)
    {
        Seeds.Run(60, random =>
        {
            var disk = new PowerLossDisk();
            disk.Fail(call, random.Next(1, 60),
                call is DiskCall.SyncData or DiskCall.SyncDirectory ? RecoveryError.IoSync : RecoveryError.IoWrite);
            ulong durable = 0;
            var appended = new List<string>();
            try
            {
                using var log = Open(disk);
                for (var i = 0; i < 150; i++)
                {
                    var body = Bytes(random, random.Next(400));
                    try
                    {
                        log.Append(RecordKind.Noted, body);
                        appended.Add(Convert.ToHexString(body));
                        log.Sync(log.LastLsn);
                    }
                    catch (RecoveryException) when (log.Poison is null)
                    {
                    }
                    durable = log.DurableLsn;
                }
            }
            catch (RecoveryException)
            {
            }
            disk.ClearFaults();
            foreach (var image in new[] { disk.AfterProcessDeath(), disk.AfterPowerLoss(random),
                disk.AfterPowerLoss(random) })
            {
                var found = Replayed(image);
                Assert.True((ulong)found.Count >= durable, $"{durable} were durable, {found.Count} found");
                Assert.Equal(appended.Take(found.Count), found.Select(r => r.Body));
            }
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Reserved_space_is_there_when_the_disk_is_full()
    {
        Seeds.Run(60, random =>
        {
            var disk = new TroubledDisk(new PowerLossDisk());
            using var log = Open(disk);
            var reservations = new List<(LogReservation Reservation, List<byte[]> Bodies)>();
            for (var i = random.Next(1, 5); i > 0; i--)
            {
                for (var n = random.Next(30); n > 0; n--)
                    log.Append(RecordKind.Noted, Bytes(random, random.Next(500)));
                var bodies = Enumerable.Range(0, random.Next(1, 6))
                    .Select(_ => Bytes(random, random.Next(random.Next(10) == 0 ? 20_000 : 900))).ToList();
                reservations.Add((log.Reserve(LocalLog.SpaceFor(bodies.Sum(b => b.Length), bodies.Count)), bodies));
            }
            disk.IsFull = true;
            // Others take what is not reserved, and then get Full.
            for (var i = random.Next(2) * 100; i > 0; i--)
            {
                log.EnqueueEvent(RecordKind.Noted, new byte[10]);
                try
                {
                    log.Append(RecordKind.Noted, Bytes(random, random.Next(500)));
                }
                catch (RecoveryException e) when (e.Error == RecoveryError.Full)
                {
                }
            }
            foreach (var (reservation, bodies) in reservations.OrderBy(_ => random.Next()))
            {
                if (random.Next(3) == 0)
                {
                    // Abandoned at first: the space is given back to the reservation.
                    using var group = log.BeginGroup(reservation);
                    group.Add(RecordKind.Noted, bodies[0]);
                }
                using (var group = log.BeginGroup(reservation))
                {
                    foreach (var body in bodies.SkipLast(1))
                        group.Add(RecordKind.Noted, body);
                    group.Complete(RecordKind.Noted, bodies[^1], writeOut: true);
                }
                log.Sync(log.LastLsn);
                reservation.Dispose();
            }
            disk.IsFull = false;
            log.Append(RecordKind.Noted, new byte[3000]);
        });
    }
}
