using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>
/// Random histories on a disk that loses power: what was synced is there, then whole groups, in order, and nothing
/// else.
/// </summary>
public sealed class PowerLossTests
{
    /// <summary>What the log was told, and what it promised.</summary>
    sealed class History
    {
        public List<Kept> Appended = [];
        public List<ulong> GroupEnds = [0];
        public ulong Durable, Dropped = 1;
    }

    static void Step(LocalLog log, History history, Random random)
    {
        switch (random.Next(10))
        {
            case < 5:
                Append(log, history, random);
                break;
            case < 7:
                Group(log, history, random);
                break;
            case 7:
                log.WriteOut(log.LastLsn);
                break;
            case 8:
                log.Sync(log.LastLsn);
                history.Durable = log.DurableLsn;
                break;
            default:
                if (random.Next(3) == 0)
                {
                    history.Dropped = Math.Max(history.Dropped, Math.Max(log.DurableLsn, 1));
                    log.DropBefore(history.Dropped);
                }
                break;
        }
        history.Durable = Math.Max(history.Durable, log.DurableLsn);
    }

    static void Append(LocalLog log, History history, Random random)
    {
        var body = Bytes(random, Length(random));
        var lsn = log.Append(RecordKind.Noted, body, writeOut: random.Next(3) == 0);
        history.Appended.Add(new Kept(lsn, RecordKind.Noted, 0, Convert.ToHexString(body)));
        history.GroupEnds.Add(lsn);
    }

    static void Group(LocalLog log, History history, Random random)
    {
        var members = new List<Kept>();
        using var group = log.BeginGroup(expectedBytes: random.Next(2) * 3000);
        for (var i = random.Next(4); i > 0; i--)
        {
            var part = Bytes(random, Length(random));
            members.Add(new Kept(group.Add(RecordKind.Noted, part), RecordKind.Noted, RecordFlags.Continues,
                Convert.ToHexString(part)));
        }
        if (random.Next(4) == 0)
            return; // abandoned
        var body = Bytes(random, Length(random));
        members.Add(new Kept(group.Complete(RecordKind.Noted, body, writeOut: random.Next(3) == 0), RecordKind.Noted, 0,
            Convert.ToHexString(body)));
        history.Appended.AddRange(members);
        history.GroupEnds.Add(members[^1].Lsn);
    }

    static int Length(Random random)
        => random.Next(20) switch
        {
            0 => random.Next(4000, 9000),
            < 5 => random.Next(300, 1200),
            _ => random.Next(0, 80)
        };

    /// <summary>Opens an image; checks the promise; appends, and checks that this is found too.</summary>
    static void Check(PowerLossDisk image, History history, string what)
    {
        var found = new List<Kept>();
        using (var log = Open(image, replayFrom: history.Dropped, into: found))
        {
            var last = log.LastLsn;
            Assert.True(last >= history.Durable, $"{what}: LSN {history.Durable} was durable, the log ends at {last}");
            Assert.True(history.GroupEnds.Contains(last), $"{what}: ends inside a group, at {last}");
            Assert.Equal(history.Appended.Where(r => r.Lsn >= history.Dropped && r.Lsn <= last), found);
            log.Append(RecordKind.Noted, Text("after the crash"));
            log.Sync(log.LastLsn);
            found.Add(new Kept(last + 1, RecordKind.Noted, 0, Convert.ToHexString(Text("after the crash"))));
        }
        Assert.Equal(found, Replayed(image.AfterPowerLoss(image.OldestPending), replayFrom: history.Dropped));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Every_prefix_of_what_was_not_synced_leaves_the_durable_records_and_a_prefix_of_groups()
    {
        Seeds.Run(25, random =>
        {
            var disk = new PowerLossDisk();
            var history = new History();
            using var log = Open(disk);
            for (var i = 0; i < 60; i++)
            {
                Step(log, history, random);
                if (random.Next(8) == 0)
                    for (var moment = disk.OldestPending; moment <= disk.Now; moment++)
                        Check(disk.AfterPowerLoss(moment), history, $"step {i}, moment {moment} of {disk.Now}");
            }
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Any_mix_of_unsynced_sectors_leaves_the_durable_records_and_a_prefix_of_groups()
    {
        Seeds.Run(40, random =>
        {
            var disk = new PowerLossDisk();
            var history = new History();
            using var log = Open(disk);
            for (var i = 0; i < 80; i++)
            {
                Step(log, history, random);
                for (var images = random.Next(4); images > 0; images--)
                    Check(disk.AfterPowerLoss(random), history, $"step {i}");
            }
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Crash_after_crash_after_crash()
    {
        Seeds.Run(40, random =>
        {
            var disk = new PowerLossDisk();
            var history = new History();
            for (var life = 0; life < 12; life++)
            {
                var found = new List<Kept>();
                var log = Open(disk, replayFrom: history.Dropped, into: found);
                Assert.True(log.LastLsn >= history.Durable,
                    $"life {life}: LSN {history.Durable} was durable, the log ends at {log.LastLsn}");
                Assert.Contains(log.LastLsn, history.GroupEnds);
                Assert.Equal(history.Appended.Where(r => r.Lsn >= history.Dropped && r.Lsn <= log.LastLsn), found);
                history.Appended.RemoveAll(r => r.Lsn > log.LastLsn);
                history.GroupEnds.RemoveAll(end => end > log.LastLsn);
                history.Durable = log.LastLsn;
                for (var i = random.Next(40); i > 0; i--)
                    Step(log, history, random);
                disk = random.Next(3) switch
                {
                    0 => disk.AfterProcessDeath(),
                    _ => disk.AfterPowerLoss(random),
                };
            }
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Power_may_fail_before_any_sync_too()
    {
        // A step of the log is several syncs of files and directories: images from between them.
        Seeds.Run(40, random =>
        {
            var disk = new PowerLossDisk();
            var history = new History();
            using var log = Open(disk);
            var images = new List<(PowerLossDisk, ulong Durable, ulong Dropped, string)>();
            disk.Before = (call, path) =>
            {
                if (call is not (DiskCall.SyncData or DiskCall.SyncDirectory))
                    return;
                images.Add((disk.AfterPowerLoss(random), history.Durable, history.Dropped,
                    $"a mix before {call} of {path}"));
                var moment = random.NextInt64(disk.OldestPending, disk.Now + 1);
                images.Add((disk.AfterPowerLoss(moment), history.Durable, history.Dropped,
                    $"moment {moment} before {call} of {path}"));
            };
            for (var i = 0; i < 150; i++)
            {
                Step(log, history, random);
                foreach (var (image, durable, dropped, what) in images)
                    Check(image, new History
                    {
                        Appended = history.Appended,
                        GroupEnds = history.GroupEnds,
                        Durable = durable,
                        Dropped = dropped
                    }, $"step {i}, {what}");
                images.Clear();
            }
        });
    }

    // Records that fill two sectors exactly, from the second sector of the file on: a sector that is lost, or is still
    // the one before, hides nothing else.
    const int FirstAlignedBody = 512 - SegmentFormat.HeaderBytes - RecordFormat.HeaderBytes,
        AlignedBody = 1024 - RecordFormat.HeaderBytes;

    static byte[] Aligned(char letter) => Enumerable.Repeat((byte)letter, AlignedBody).ToArray();

    static readonly LogOptions oneSegment = Small with { SegmentBytes = 65536, FirstSegmentBytes = 65536 };

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Records_of_an_abandoned_group_never_stand_among_new_ones()
    {
        // The abandoned group and what follows have records of the same sizes: only wiping keeps them apart.
        Seeds.Run(20, random =>
        {
            var disk = new PowerLossDisk();
            using var log = Open(disk, oneSegment);
            log.Append(RecordKind.Noted, new byte[FirstAlignedBody]);
            log.Sync(1);
            using (var group = log.BeginGroup())
                for (var i = 0; i < 12; i++)
                    group.Add(RecordKind.Noted, Aligned('o'));
            var found = Replayed(disk.AfterProcessDeath(), oneSegment);
            Assert.Single(found);
            for (var i = 0; i < 3; i++)
            {
                using var group = log.BeginGroup();
                group.Add(RecordKind.Noted, Aligned('n'));
                group.Complete(RecordKind.Noted, Aligned('n'), writeOut: true);
            }
            for (var i = 0; i < 100; i++)
                Assert.All(Replayed(disk.AfterPowerLoss(random), oneSegment).Skip(1),
                    r => Assert.StartsWith("6E6E", r.Body));
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void What_was_cut_never_comes_back_behind_new_records()
    {
        Seeds.Run(20, random =>
        {
            var disk = new PowerLossDisk();
            using var log = Open(disk, oneSegment);
            log.Append(RecordKind.Noted, new byte[FirstAlignedBody]);
            log.Sync(1);
            for (var i = 0; i < 6; i++)
                log.Append(RecordKind.Noted, Aligned('o'), writeOut: true);
            for (var i = 0; i < 40; i++)
            {
                var image = disk.AfterPowerLoss(random);
                var expected = new List<Kept>();
                using (var again = Open(image, oneSegment, into: expected))
                {
                    var lsn = again.Append(RecordKind.Noted, Aligned('n'));
                    again.Sync(lsn);
                    expected.Add(new Kept(lsn, RecordKind.Noted, 0, Convert.ToHexString(Aligned('n'))));
                }
                Assert.Equal(expected, Replayed(image, oneSegment));
            }
        });
    }
}
