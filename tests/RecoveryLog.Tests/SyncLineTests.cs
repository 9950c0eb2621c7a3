using System.Collections.Concurrent;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>
/// Many threads wait for one disk: who shares a sync, who is told what when it fails, and that nobody waits for ever.
/// </summary>
public sealed class SyncLineTests
{
    const int Crowd = 12;

    /// <summary>What each thread of a crowd came to: null for success.</summary>
    sealed class Outcomes
    {
        readonly List<Thread> threads = [];

        public readonly ConcurrentDictionary<int, Exception?> All = new();

        public void Start(int count, Action<int> work)
        {
            for (var i = 0; i < count; i++)
            {
                var number = i;
                var thread = new Thread(() =>
                {
                    try
                    {
                        work(number);
                        All[number] = null;
                    }
                    catch (Exception e)
                    {
                        All[number] = e;
                    }
                });
                threads.Add(thread);
                thread.Start();
            }
        }

        public void Join()
            => threads.ForEach(t => Assert.True(t.Join(TimeSpan.FromMinutes(1)), "a thread waits for ever"));
    }

    static void AwaitLine(LocalLog log, int count)
        => Assert.True(SpinWait.SpinUntil(() => log.WaitingForSync == count, TimeSpan.FromMinutes(1)));

    /// <summary>
    /// A thread syncs; while it is at the disk, a crowd appends and waits; then <paramref name="meanwhile"/> happens,
    /// and the sync ends.
    /// </summary>
    static Outcomes CrowdDuringSync(TroubledDisk disk, LocalLog log, Action meanwhile)
    {
        var outcomes = new Outcomes();
        disk.DuringSync = () =>
        {
            outcomes.Start(Crowd,
                i => log.Sync(log.Append(RecordKind.Noted, Text($"crowd {i}"), writeOut: !log.IsSyncing)));
            AwaitLine(log, Crowd);
            meanwhile();
        };
        return outcomes;
    }

    [Fact]
    public void Who_comes_while_a_sync_is_under_way_shares_the_next_one_and_one_write()
    {
        var counted = new PowerLossDisk();
        var disk = new TroubledDisk(counted);
        using var log = Open(disk);
        log.Append(RecordKind.Noted, Text("first"), writeOut: true);
        var (syncs, writes) = (counted.Count(DiskCall.SyncData), counted.Count(DiskCall.Write));
        var outcomes = CrowdDuringSync(disk, log, () => { });
        log.Sync(1);
        outcomes.Join();
        Assert.All(outcomes.All.Values, Assert.Null);
        // One write to the log for all of them; and after each sync, one to the mark beside it.
        Assert.Equal((2, 1 + 2), (counted.Count(DiskCall.SyncData) - syncs, counted.Count(DiskCall.Write) - writes));
        Assert.Equal((Crowd + 1ul, 0, false), (log.DurableLsn, log.WaitingForSync, log.IsSyncing));
        Assert.Equal(Crowd + 1, Replayed(counted.AfterPowerLoss(counted.OldestPending)).Count);
    }

    [Fact]
    public void A_failed_sync_fails_for_all_who_wait_for_it_and_none_of_their_records_is_found()
    {
        var power = new PowerLossDisk();
        var disk = new TroubledDisk(power);
        using (var log = Open(disk))
        {
            log.Append(RecordKind.Noted, Text("durable"));
            // The sync after the one that they come during.
            var outcomes = CrowdDuringSync(disk, log, () => disk.DuringSync = () => disk.DuringFailedSync = () => { });
            log.Sync(1);
            outcomes.Join();
            Assert.All(outcomes.All.Values,
                e => Assert.Equal(RecoveryError.IoSync, Assert.IsType<RecoveryException>(e).Error));
            Assert.Equal(Crowd, outcomes.All.Values.Distinct().Count());
            Assert.NotNull(log.Poison);
            Assert.Equal(1ul, log.DurableLsn);
            Assert.Throws<RecoveryException>(() => log.Sync(2));
        }
        Assert.Single(Replayed(power));
    }

    [Fact]
    public void A_failed_write_fails_for_all_and_who_gives_up_leaves_nothing_but_what_was_written_before()
    {
        var power = new PowerLossDisk();
        var disk = new TroubledDisk(power)
        {
            CopiesOnWrite = true,
            Fills = static p => p.EndsWith(".log", StringComparison.Ordinal)
        };
        using (var log = Open(disk))
        {
            log.Append(RecordKind.Noted, Text("durable"));
            // Merely to be written, which it is before the disk is full.
            var outcomes = CrowdDuringSync(disk, log, () => disk.IsFull = true);
            var crowd = disk.DuringSync!;
            disk.DuringSync = () =>
            {
                log.Append(RecordKind.Noted, Text("written"), writeOut: true);
                crowd();
            };
            log.Sync(1);
            outcomes.Join();
            Assert.All(outcomes.All.Values,
                e => Assert.Equal(RecoveryError.Full, Assert.IsType<RecoveryException>(e).Error));
            Assert.Null(log.Poison);
            var cause = (RecoveryException)outcomes.All[0]!;
            disk.IsFull = false;
            Assert.False(log.TryGiveUp(1, cause));
            Assert.True(log.TryGiveUp(log.LastLsn, cause));
            Assert.NotNull(log.Poison);
            Throws(RecoveryError.IoSync, () => log.Sync(log.LastLsn));
        }
        Assert.Equal(["durable", "written"],
            Replayed(power).Select(r => System.Text.Encoding.UTF8.GetString(Convert.FromHexString(r.Body))));
    }

    /// <summary>Whichever sectors get through: what wiped it is on the disk.</summary>
    [Fact]
    public void What_was_written_and_given_up_does_not_come_back_after_a_loss_of_power()
    {
        var power = new PowerLossDisk();
        using var log = Open(power);
        log.Sync(log.Append(RecordKind.Noted, Text("durable")));
        var lsn = log.Append(RecordKind.Noted, Text("written"), writeOut: true);
        Assert.True(log.TryGiveUp(lsn, new RecoveryException(RecoveryError.Full, "another's write failed")));
        for (var seed = 1; seed <= 100; seed++)
            Assert.Equal((seed, 1), (seed, Replayed(power.AfterPowerLoss(new Random(seed))).Count));
    }

    [Fact]
    public void What_another_sync_made_durable_cannot_be_given_up()
    {
        var power = new PowerLossDisk();
        using var log = Open(power);
        var lsn = log.Append(RecordKind.Noted, Text("a"));
        power.Fail(DiskCall.Write, 1, RecoveryError.IoWrite);
        var e = Throws(RecoveryError.IoWrite, () => log.Sync(lsn));
        log.Sync(log.Append(RecordKind.Noted, Text("b")));
        Assert.False(log.TryGiveUp(lsn, e));
        Assert.Null(log.Poison);
        log.Append(RecordKind.Noted, Text("c"));
    }

    [Fact]
    public void Who_waits_when_the_log_closes_is_told()
    {
        var power = new PowerLossDisk();
        var disk = new TroubledDisk(power);
        var log = Open(disk);
        log.Append(RecordKind.Noted, Text("first"));
        Thread? closing = null;
        var outcomes = CrowdDuringSync(disk, log, () =>
        {
            // It gets the append lock, and waits for the sync that is under way.
            closing = new Thread(log.Dispose);
            closing.Start();
        });
        log.Sync(1);
        outcomes.Join();
        Assert.True(closing!.Join(TimeSpan.FromMinutes(1)));
        // Either the next round came before the end, or all are told that there was none.
        Assert.All(outcomes.All.Values, e => Assert.True(e is null or ObjectDisposedException, e?.ToString()));
        var durable = Replayed(power.AfterPowerLoss(power.OldestPending)).Count;
        Assert.True(outcomes.All.Values.All(e => e is not null) || durable == Crowd + 1, $"{durable} are durable");
    }

    [Fact]
    public void The_lead_goes_to_whoever_waits_longest()
    {
        // The line alone: each round reaches no more than the record of who leads it.
        var led = new ConcurrentQueue<ulong>();
        var outcomes = new Outcomes();
        var reached = 0ul;
        SyncLine? line = null;
        line = new SyncLine(() =>
        {
            if (reached == 0)
            {
                for (var i = 2; i <= Crowd; i++)
                {
                    var lsn = (ulong)i;
                    outcomes.Start(1, _ => line!.Reach(lsn));
                    Assert.True(SpinWait.SpinUntil(() => line!.Waiting == i - 1, TimeSpan.FromMinutes(1)));
                }
            }
            led.Enqueue(++reached);
            return reached;
        });
        line.Reach(1);
        outcomes.Join();
        Assert.Equal(Enumerable.Range(1, Crowd).Select(i => (ulong)i), led);
        Assert.Equal((0, false), (line.Waiting, line.IsLed));
    }

    [Theory]
    [InlineData(DiskCall.Write), InlineData(DiskCall.SyncData), InlineData(DiskCall.Rename),
        InlineData(DiskCall.SyncDirectory), InlineData(DiskCall.Open)]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Whatever_fails_in_a_crowd_success_is_found_and_failure_is_not(DiskCall call) => Seeds.Run(25, random =>
    {
        var disk = new PowerLossDisk();
        var told = new ConcurrentDictionary<string, bool>();
        disk.Fail(call, random.Next(1, 60),
            call is DiskCall.SyncData or DiskCall.SyncDirectory ? RecoveryError.IoSync : RecoveryError.IoWrite, ".log");
        try
        {
            using var log = Open(disk);
            var outcomes = new Outcomes();
            outcomes.Start(6, thread =>
            {
                var mine = new Random(thread);
                for (var i = 0; i < 30; i++)
                {
                    var body = Bytes(mine, mine.Next(8, 300));
                    if (!TryCommit(log, body, told)) return;
                }
            });
            outcomes.Join();
            Assert.All(outcomes.All.Values, Assert.Null);
        }
        catch (RecoveryException)
        {
            // It could not even be created.
        }
        disk.ClearFaults();
        foreach (var image in new[] { disk.AfterProcessDeath(), disk.AfterPowerLoss(disk.OldestPending),
            disk.AfterPowerLoss(random) })
        {
            var found = Replayed(image).Select(r => r.Body).ToHashSet();
            foreach (var (body, succeeded) in told)
                if (succeeded) Assert.Contains(body, found);
        }
        var afterDeath = Replayed(disk).Select(r => r.Body).ToHashSet();
        foreach (var (body, succeeded) in told)
            if (!succeeded) Assert.DoesNotContain(body, afterDeath);
    });

    /// <summary>As the store commits; false when the log takes no more.</summary>
    static bool TryCommit(LocalLog log, byte[] body, ConcurrentDictionary<string, bool> told)
    {
        ulong lsn;
        try
        {
            lsn = log.Append(RecordKind.Noted, body, writeOut: !log.IsSyncing);
        }
        catch (RecoveryException)
        {
            return log.Poison is null;
        }
        var key = Convert.ToHexString(body);
        try
        {
            log.Sync(lsn);
            told[key] = true;
        }
        catch (RecoveryException e)
        {
            told[key] = !log.TryGiveUp(lsn, e);
        }
        return log.Poison is null;
    }
}
