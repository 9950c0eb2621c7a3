using System.Collections.Concurrent;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

public sealed class ConcurrencyTests
{
    const int Threads = 6, PerThread = 300;

    static void InThreads(int count, Action<int> work)
    {
        var errors = new ConcurrentQueue<Exception>();
        var threads = Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            try
            {
                work(i);
            }
            catch (Exception e)
            {
                errors.Enqueue(e);
            }
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        Assert.Empty(errors);
    }

    [Fact]
    public void Committers_share_syncs_and_each_finds_its_records()
    {
        var disk = new PowerLossDisk();
        var mine = new ConcurrentDictionary<ulong, string>();
        var told = new List<ulong>();
        using (var log =
            Open(disk, Small with
            {
                SegmentBytes = 64 << 10,
                FirstSegmentBytes = 64 << 10,
                PrepareInBackground = true,
                OnAppended = (in Record r) => told.Add(r.Lsn)
            }))
        {
            InThreads(Threads, thread =>
            {
                var random = new Random(thread);
                for (var i = 0; i < PerThread; i++)
                {
                    var body = Bytes(random, random.Next(200));
                    ulong lsn;
                    if (random.Next(3) == 0)
                    {
                        using var group = log.BeginGroup();
                        mine[group.Add(RecordKind.Noted, body)] = Convert.ToHexString(body);
                        mine[lsn = group.Complete(RecordKind.Noted, body)] = Convert.ToHexString(body);
                    }
                    else
                        mine[lsn = log.Append(RecordKind.Noted, body)] = Convert.ToHexString(body);
                    if (random.Next(4) == 0)
                        log.EnqueueEvent(RecordKind.FileSealed, body);
                    if (random.Next(2) == 0)
                    {
                        log.Sync(lsn);
                        Assert.True(log.DurableLsn >= lsn);
                    }
                    if (random.Next(50) == 0)
                        log.DropBefore(1);
                }
            });
            log.AppendEvents();
            log.Sync(log.LastLsn);
            Assert.Equal(Enumerable.Range(1, (int)log.LastLsn).Select(i => (ulong)i), told);
        }
        var found = Replayed(disk);
        Assert.Equal(mine, found.Where(r => r.Kind == RecordKind.Noted).ToDictionary(r => r.Lsn, r => r.Body));
        Assert.Equal((ulong)found.Count, found[^1].Lsn);
    }

    [Theory]
    [InlineData(nameof(LogReach.Durable))]
    [InlineData(nameof(LogReach.Written))]
    public void Cursors_follow_the_log_while_it_is_written_and_dropped(string name)
    {
        var reach = Enum.Parse<LogReach>(name);
        var disk = new PowerLossDisk();
        const ulong Last = 2000;
        using var log = Open(disk, Small with { SegmentBytes = 32 << 10 });
        var done = 0;
        using var cursors = new Barrier(4);
        InThreads(4, thread =>
        {
            if (thread == 0)
            {
                cursors.SignalAndWait();
                var random = new Random(1);
                while (log.LastLsn < Last)
                {
                    using (var group = log.BeginGroup())
                    {
                        for (var i = random.Next(3); i > 0; i--)
                            group.Add(RecordKind.Noted, BitConverter.GetBytes(log.LastLsn),
                                new byte[random.Next(random.Next(40) == 0 ? 9000 : 100)]);
                        group.Complete(RecordKind.Noted, BitConverter.GetBytes(log.LastLsn), new byte[random.Next(100)],
                            writeOut: random.Next(2) == 0);
                    }
                    if (random.Next(5) == 0)
                        log.Sync(log.LastLsn);
                    log.DropBefore(log.LastLsn);
                }
                log.Sync(log.LastLsn);
                Volatile.Write(ref done, 1);
                return;
            }
            using var cursor = log.ReadFrom(1, reach);
            cursors.SignalAndWait();
            ulong expected = 1;
            var inGroup = false;
            while (expected <= Last)
            {
                if (cursor.TryRead(out var record))
                {
                    Assert.Equal(expected++, record.Lsn);
                    Assert.True(BitConverter.ToUInt64(record.Body) < record.Lsn);
                    inGroup = record.Continues;
                    continue;
                }
                Assert.False(inGroup, "a group was given in part");
                log.WhenWritten(expected).Wait(TimeSpan.FromMinutes(1));
                if (reach == LogReach.Durable) log.Sync(expected);
            }
        });
    }

    [Fact]
    public async Task Waiting_for_a_write_ends_when_it_comes_is_cancelled_or_the_log_closes()
    {
        var log = Open(new PowerLossDisk());
        Assert.True(log.WhenWritten(0).IsCompletedSuccessfully);
        var two = log.WhenWritten(2);
        var never = log.WhenWritten(1000);
        using var cancel = new CancellationTokenSource();
        var cancelled = log.WhenWritten(1000, cancel.Token);
        log.Sync(log.Append(RecordKind.Noted, Text("a")));
        Assert.False(two.IsCompleted);
        log.Append(RecordKind.Noted, Text("b"));
        Assert.False(two.IsCompleted);
        log.WriteOut(2);
        await two;
        cancel.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        log.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => never);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => log.WhenWritten(1000));
    }

    [Fact]
    public void A_group_of_one_thread_keeps_others_out_and_its_own_mistakes_are_errors()
    {
        using var log = Open(new PowerLossDisk());
        using (var group = log.BeginGroup())
        {
            group.Add(RecordKind.Noted, Text("a"));
            Assert.Throws<InvalidOperationException>(() => log.Append(RecordKind.Noted, Text("b")));
            Assert.Throws<InvalidOperationException>(() => log.WriteOut(1));
            Assert.Throws<InvalidOperationException>(() => log.AppendEvents());
            group.Complete(RecordKind.Noted, Text("c"));
        }
        Assert.Equal(2ul, log.LastLsn);
        Assert.Throws<ArgumentOutOfRangeException>(() => log.Sync(3));
        Throws(RecoveryError.Invalid,
            () => log.Append(RecordKind.Noted, new byte[RecordFormat.MaxBodyBytes], new byte[1]));
        Assert.Equal(3ul, log.Append(RecordKind.Noted, Text("d")));
    }

    [Fact]
    public void The_real_disk_keeps_a_log_over_several_lives()
    {
        var directory = Directory.CreateTempSubdirectory("recoverylog");
        try
        {
            var options = new LogOptions { SegmentBytes = 256 << 10, FirstSegmentBytes = 64 << 10 };
            var random = new Random(3);
            var expected = new List<string>();
            for (var life = 0; life < 4; life++)
            {
                var found = new List<string>();
                using var log =
                    LocalLog.Open(LocalDisk.Instance, directory.FullName, options, 1,
                    (in Record r) => found.Add(Convert.ToHexString(r.Body)));
                Assert.Equal(expected, found);
                for (var i = 0; i < 150; i++)
                {
                    var body = Bytes(random, random.Next(random.Next(10) == 0 ? 400_000 : 3000));
                    log.Append(RecordKind.Noted, body);
                    expected.Add(Convert.ToHexString(body));
                    if (i % 20 == 0)
                        log.Sync(log.LastLsn);
                }
            }
            using (var log = LocalLog.Open(LocalDisk.Instance, directory.FullName, options))
            {
                log.DropBefore(log.LastLsn);
                Assert.True(log.FirstLsn > 1);
            }
            Assert.Contains(Directory.GetFiles(Path.Combine(directory.FullName, "log")), f => f.Contains("spare-"));
            var e = Throws(RecoveryError.NotFound,
                () => LocalDisk.Instance.Open(Path.Combine(directory.FullName, "nothing"), LogFileMode.Read));
            Assert.Contains("nothing", e.Message);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
