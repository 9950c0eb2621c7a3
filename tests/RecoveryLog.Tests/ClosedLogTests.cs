using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>
/// A log that was closed says so, and is not searched for what may lie behind its end. It must not say so for a moment
/// longer than it is true.
/// </summary>
public sealed class ClosedLogTests
{
    static bool SaysClosed(ILogDisk disk)
    {
        using var mark = new DurableMark(disk, Path.Combine(Dir, "log"));
        return mark.Read().IsClosed;
    }

    static void Append(LocalLog log, int records, Random random)
    {
        for (; records > 0; records--) log.Append(RecordKind.Noted, new byte[random.Next(2) * 200 + 24]);
    }

    [Fact]
    public void It_says_so_until_the_first_byte_is_written_and_that_is_durable_before()
    {
        var disk = new PowerLossDisk();
        using (var log = Open(disk)) log.Sync(log.Append(RecordKind.Noted, Text("one")));
        Assert.True(SaysClosed(disk));
        using (Open(disk)) Assert.True(SaysClosed(disk));
        using (var log = Open(disk))
        {
            log.Append(RecordKind.Noted, Text("two"));
            Assert.True(SaysClosed(disk)); // it is in the buffer
            log.WriteOut(2);
            Assert.False(SaysClosed(disk));
            for (var seed = 0; seed < 20; seed++) Assert.False(SaysClosed(disk.AfterPowerLoss(new Random(seed))));
        }
        Assert.False(SaysClosed(disk)); // the second was never synced
    }

    [Fact]
    public void An_error_of_the_mark_leaves_the_log_as_it_was()
    {
        var disk = new PowerLossDisk();
        using (var log = Open(disk)) log.Sync(log.Append(RecordKind.Noted, Text("one")));
        using (var log = Open(disk))
        {
            disk.Fail(DiskCall.SyncData, 1, RecoveryError.IoSync, "durable");
            Assert.Throws<RecoveryException>(() => log.Append(RecordKind.Noted, Text("two"), writeOut: true));
            Assert.Equal(1ul, log.LastLsn);
            log.Sync(log.Append(RecordKind.Noted, Text("two again")));
        }
        Assert.Equal(2, Replayed(disk).Count);
    }

    [Fact]
    public void Whatever_power_leaves_after_a_close_what_was_durable_is_there_and_nothing_comes_back()
        => Seeds.Run(200, static random => Once(random));

    static void Once(Random random)
    {
        var disk = new PowerLossDisk();
        using (var log = Open(disk))
        {
            Append(log, 1 + random.Next(5), random);
            log.Sync(log.LastLsn);
        }
        ulong durable;
        PowerLossDisk left;
        using (var log = Open(disk))
        {
            for (var i = random.Next(4); i > 0; i--)
            {
                Append(log, 1 + random.Next(4), random);
                if (random.Next(2) == 0) log.WriteOut(log.LastLsn);
                if (random.Next(3) == 0) log.Sync(log.LastLsn);
            }
            durable = log.DurableLsn;
            left = disk.AfterPowerLoss(random);
        }
        // What goes on from there writes over whatever was lost, and may be interrupted, too.
        for (var life = 0; life < 3; life++)
        {
            ulong last;
            using (var log = Open(left))
            {
                Assert.True(log.LastLsn >= durable, $"{log.LastLsn} of {durable}");
                Append(log, 1, random);
                log.Sync(last = log.LastLsn);
                if (random.Next(2) == 0) (left, durable) = (left.AfterPowerLoss(random), last);
                else durable = last;
            }
            var replayed = Replayed(left);
            Assert.Equal(Enumerable.Range(1, (int)last).Select(n => (ulong)n), replayed.Select(r => r.Lsn));
        }
    }
}
