using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>The shipper on simulated time and a simulated object store.</summary>
public sealed class ShipperTests
{
    readonly SimulationLoop loop = new();
    readonly SimulatedBucket bucket;
    readonly SimulatedObjectStore store;

    public ShipperTests()
    {
        bucket = new SimulatedBucket(loop.Time);
        store = NewStore(1);
    }

    SimulatedObjectStore NewStore(int seed)
        => new(bucket, new Random(seed), new SimulatedFaults { MaxLatency = TimeSpan.FromMilliseconds(20) });

    ToyMachine NewMachine(SimulatedObjectStore? on = null, PowerLossDisk? disk = null, ulong author = 7) =>
        new(disk ?? new PowerLossDisk(), on ?? store, loop.Time, new Random(5), author, run => run());

    Task Pass(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), loop.Time);

    [Fact]
    public void Idle_store_makes_no_requests() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        machine.Commit();
        await machine.Shipper.WaitShippedAsync(1);
        long before = store.Counters.TotalRequests;
        await Pass(3600);
        Assert.Equal(before, store.Counters.TotalRequests);
        Assert.Equal(ShipperPhase.Shipping, machine.Shipper.State.Phase);
        await machine.CloseAsync();
    });

    [Fact]
    public void Commits_of_one_interval_share_a_small_segment() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await machine.Shipper.ConnectedAsync();
        for (int i = 0; i < 10; i++)
        {
            machine.Commit(padding: 100);
            await Pass(0.05);
        }
        await machine.Shipper.WhenShippedAsync(10);
        Assert.Equal(1, store.Counters.Requests(RequestKind.Create, ObjectClass.Log));
        Assert.InRange(store.Counters.BytesSent(ObjectClass.Log), 1, 700);
        await machine.CloseAsync();
    });

    [Fact]
    public void One_row_commit_ships_less_than_400_bytes() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await machine.Shipper.ConnectedAsync();
        var body = new byte[150];
        new Random(1).NextBytes(body);
        var lsn = machine.Log.Append(RecordKind.PageCommit, body);
        machine.Log.Sync(lsn);
        await machine.Shipper.WaitShippedAsync(lsn);
        // 144 bytes around the body, and 10 before a record.
        Assert.InRange(store.Counters.BytesSent(ObjectClass.Log), 290, 310);
        await machine.CloseAsync();
    });

    [Theory]
    [InlineData(0.5)]
    [InlineData(3600)]
    public void Who_waits_for_the_interval_waits_a_second_at_most(double interval) => loop.Run(async () =>
    {
        var machine = new ToyMachine(new PowerLossDisk(), store, loop.Time, new Random(5), 7, run => run())
        { SyncInterval = TimeSpan.FromSeconds(interval) }.Open(mayCreate: true);
        await machine.Shipper.ConnectedAsync();
        var started = loop.Time.GetUtcNow();
        await machine.Shipper.SoonShippedAsync(machine.Commit());
        Assert.InRange(loop.Time.GetUtcNow() - started, TimeSpan.Zero, TimeSpan.FromSeconds(1.1));
        await machine.CloseAsync();
    });

    [Fact]
    public void Waiters_share_a_put_and_those_who_come_meanwhile_the_next() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await machine.Shipper.ConnectedAsync();
        var first = machine.Shipper.WaitShippedAsync(machine.Commit());
        await Pass(0.001);
        var rest = Enumerable.Range(0, 64).Select(_ => machine.Shipper.WaitShippedAsync(machine.Commit())).ToArray();
        var started = loop.Time.GetUtcNow();
        foreach (var waiting in rest.Prepend(first)) await waiting;
        Assert.Equal(2, store.Counters.Requests(RequestKind.Create, ObjectClass.Log));
        Assert.InRange(loop.Time.GetUtcNow() - started, TimeSpan.Zero, TimeSpan.FromMilliseconds(50));
        await machine.CloseAsync();
    });

    [Fact]
    public void Large_backlog_goes_in_segments_that_never_split_a_group() => loop.Run(async () =>
    {
        var machine =
            new ToyMachine(new PowerLossDisk(), store, loop.Time, new Random(5), 7,
            run => run())
            { SegmentBytes = 4096 }.Open(mayCreate: true);
        for (int i = 0; i < 50; i++) machine.Commit(parts: 1 + i % 7, padding: 300);
        await machine.Shipper.WaitShippedAsync(machine.Log.LastLsn);
        Assert.InRange(bucket.Names.Count(n => n.StartsWith("log/")), 10, 30);
        foreach (var name in bucket.Names.Where(n => n.StartsWith("log/")))
        {
            using var segment = RemoteSegment.Parse(name, bucket.Find(name)!.Bytes);
            using var records = segment.OpenRecords();
            bool continues = true;
            while (records.TryRead(out var record)) continues = record.Continues;
            Assert.False(continues);
        }
        await machine.CloseAsync();
    });

    [Fact]
    public void Outage_is_told_and_ends_by_itself_with_nothing_lost_or_sent_twice() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        machine.Commit();
        await machine.Shipper.WaitShippedAsync(1);
        store.IsDown = true;
        for (int i = 0; i < 100; i++) machine.Commit();
        await Pass(2 * 3600);
        var state = machine.Shipper.State;
        Assert.Equal(ShipperPhase.Outage, state.Phase);
        Assert.Equal(100ul, state.LagRecords);
        Assert.InRange(state.Lag, TimeSpan.FromHours(1.9), TimeSpan.FromHours(2.1));
        Assert.InRange(state.LagBytes, 3000, 9000);
        Assert.Contains("503", state.LastError!.Message);
        store.IsDown = false;
        await machine.Shipper.WhenShippedAsync(101);
        Assert.Equal((ShipperPhase.Shipping, 0ul, null), (state.Phase, state.LagRecords, state.LastError));
        Assert.Equal(2, bucket.Names.Count(n => n.StartsWith("log/")));
        await machine.CloseAsync();
    });

    [Fact]
    public void Answers_that_are_lost_do_not_fence_and_do_not_ship_twice() => loop.Run(async () =>
    {
        store.Faults = new SimulatedFaults { LoseAnswer = 0.6, LoseRequest = 0.2, Late = 0.1, Truncate = 0.2 };
        var machine = NewMachine().Open(mayCreate: true);
        for (int i = 0; i < 60; i++)
        {
            machine.Commit();
            await machine.Shipper.WaitShippedAsync(machine.Log.LastLsn);
        }
        Assert.Equal(60, bucket.Names.Count(n => n.StartsWith("log/")));
        await machine.CloseAsync();
    });

    [Fact]
    public void Of_two_writers_the_old_one_is_fenced_and_keeps_its_commits() => loop.Run(async () =>
    {
        var old = NewMachine().Open(mayCreate: true);
        old.Commit();
        old.Flush();
        await old.PublishAsync();
        var successor =
            (await ToyMachine.TakeOverAsync(NewStore(2), loop.Time, new Random(6), 8, run => run(),
            Path.GetTempPath()))!;
        successor.Commit();
        await successor.Shipper.WaitShippedAsync(successor.Log.LastLsn);

        ulong before = old.Shipper.ShippedLsn;
        long requests = store.Counters.Requests(RequestKind.Create);
        old.Commit(parts: 3);
        ulong last = old.Commit();
        var e = await Assert.ThrowsAsync<RecoveryException>(() => old.Shipper.WaitShippedAsync(last));
        Assert.Equal(RecoveryError.Fenced, e.Error);
        Assert.Contains("epoch 2", e.Message);
        Assert.Equal(requests + 1, store.Counters.Requests(RequestKind.Create));
        Assert.Equal(ShipperPhase.Fenced, old.Shipper.State.Phase);
        Assert.Equal(RecoveryError.Fenced, Assert.Throws<RecoveryException>(old.Shipper.ThrowIfLost).Error);

        // What it could not ship is kept, and can be read.
        var salvaged = new SalvagedLog($"/salvage/epoch-{1:x16}-lsn-{before + 1:x16}", 1, before + 1);
        var found = new List<(ulong, byte)>();
        salvaged.Read(old.Disk, (in Record r) => found.Add((r.Lsn, r.Flags)));
        Assert.Equal([(before + 1, 1), (before + 2, 1), (before + 3, 0), (before + 4, 0)],
            found.Select(f => (f.Item1, (int)f.Item2)));
        await old.CloseAsync();
        await successor.CloseAsync();
    });

    [Fact]
    public void Zombie_with_hints_and_collection_in_hand_is_stopped_too() => loop.Run(async () =>
    {
        var old = NewMachine().Open(mayCreate: true);
        old.Commit();
        old.Flush();
        await old.PublishAsync();
        var successor =
            (await ToyMachine.TakeOverAsync(NewStore(2), loop.Time, new Random(6), 8, run => run(),
            Path.GetTempPath()))!;
        Assert.Equal(RecoveryError.Fenced, (await Assert.ThrowsAsync<RecoveryException>(() => old.PublishAsync()))
            .Error);
        Assert.Equal(RecoveryError.Fenced,
            (await Assert.ThrowsAsync<RecoveryException>(() => old.Collector.CollectAsync(old.Retention))).Error);
        await successor.CloseAsync();
    });

    [Fact]
    public void Copied_directory_is_fenced_as_soon_as_it_differs() => loop.Run(async () =>
    {
        var one = NewMachine().Open(mayCreate: true);
        one.Commit();
        await one.Shipper.WaitShippedAsync(1);
        var copy = one.AfterCrash(NewStore(3), powerLoss: false);
        copy.Open(mayCreate: false);
        one.Commit();
        await one.Shipper.WaitShippedAsync(2);
        copy.Commit();
        var e = await Assert.ThrowsAsync<RecoveryException>(() => copy.Shipper.WaitShippedAsync(2));
        Assert.Equal(RecoveryError.Fenced, e.Error);
        Assert.Contains("copy", e.Message);
        await one.CloseAsync();
    });

    [Fact]
    public void Rolled_back_directory_is_refused() => loop.Run(async () =>
    {
        var one = NewMachine().Open(mayCreate: true);
        one.Commit();
        await one.Shipper.WaitShippedAsync(1);
        var backup = one.AfterCrash(NewStore(3), powerLoss: false);
        one.Commit();
        await one.Shipper.WaitShippedAsync(2);
        await one.CloseAsync();
        backup.Open(mayCreate: false);
        var e = await Assert.ThrowsAsync<RecoveryException>(() => backup.Shipper.ConnectedAsync());
        Assert.Equal(RecoveryError.Fenced, e.Error);
        Assert.Contains("older copy", e.Message);
    });

    [Fact]
    public void Restart_goes_on_in_the_same_epoch_where_it_stopped() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        for (int i = 0; i < 5; i++) machine.Commit();
        await machine.Shipper.WaitShippedAsync(5);
        machine.Commit();
        await machine.CloseAsync();
        var again = machine.AfterCrash(NewStore(4), powerLoss: true).Open(mayCreate: false);
        again.Commit();
        await again.Shipper.WaitShippedAsync(7);
        Assert.Equal(1ul, again.Epoch);
        await again.CloseAsync();
    });

    [Fact]
    public void Missing_remote_is_no_new_remote_for_a_store_that_shipped_before() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: false);
        var e = await Assert.ThrowsAsync<RecoveryException>(() => machine.Shipper.ConnectedAsync());
        Assert.Equal(RecoveryError.NotFound, e.Error);
        Assert.Equal(ShipperPhase.Failed, machine.Shipper.State.Phase);
        Assert.Empty(bucket.Names);
    });

    [Fact]
    public void Remote_of_another_log_is_refused() => loop.Run(async () =>
    {
        bucket.TryCreate("store.json", StoreObject.Make(Guid.NewGuid(), 1, 3, loop.Time.GetUtcNow()).ToBytes());
        var machine = NewMachine().Open(mayCreate: true);
        Assert.Equal(RecoveryError.Invalid,
            (await Assert.ThrowsAsync<RecoveryException>(() => machine.Shipper.ConnectedAsync())).Error);
    });

    [Fact]
    public void Log_dropped_while_there_was_no_remote_is_an_error_or_a_gap() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        machine.Commit();
        await machine.Shipper.WaitShippedAsync(1);
        await machine.CloseAsync();
        // Without the remote it goes on, and drops what was never shipped.
        var disk = machine.Disk;
        using (var log =
            LocalLog.Open(disk, "/store",
            new LogOptions
            {
                SegmentBytes = 8192,
                FirstSegmentBytes = 8192,
                PrepareInBackground = false,
                Time = loop.Time
            }))
        {
            for (int i = 0; i < 40; i++) log.Append(RecordKind.PageCommit, ToyState.Commit(1, 2, 800));
            log.Sync(log.LastLsn);
            log.DropBefore(log.LastLsn);
        }
        var refused = new ToyMachine(disk.AfterProcessDeath(), NewStore(5), loop.Time, new Random(5), 7, run => run());
        var log2 = LocalLog.Open(refused.Disk, "/store",
            new LogOptions { PrepareInBackground = false, SegmentBytes = 8192, Time = loop.Time }, replayFrom: 40);
        ulong oldest = log2.FirstLsn;
        Assert.True(oldest > 2);
        var shipper = new Shipper(refused.Context, log2, new ShipperOptions { Author = 7, Start = run => run() });
        shipper.Start();
        var e = await Assert.ThrowsAsync<RecoveryException>(() => shipper.ConnectedAsync());
        Assert.Equal(RecoveryError.NotFound, e.Error);
        Assert.Contains("restart-remote", e.Message);
        await shipper.DisposeAsync();

        shipper = new Shipper(refused.Context, log2,
            new ShipperOptions { Author = 7, MayRestart = true, Start = run => run() });
        shipper.Start();
        await shipper.WaitShippedAsync(log2.LastLsn);
        Assert.True(shipper.State.NeedsHints);
        using var gap = RemoteSegment.Parse(RemoteNames.Segment(2), bucket.Find(RemoteNames.Segment(2))!.Bytes);
        Assert.True(gap.Header.IsGap);
        Assert.Equal(oldest, gap.Header.NextLsn);
        await shipper.DisposeAsync();
    });

    [Fact]
    public void Local_log_is_held_until_it_is_shipped() => loop.Run(async () =>
    {
        store.IsDown = true;
        var machine = NewMachine().Open(mayCreate: true);
        for (int i = 0; i < 30; i++) machine.Commit(padding: 800);
        machine.Flush();
        Assert.Equal(1ul, machine.Log.FirstLsn);
        store.IsDown = false;
        await machine.Shipper.WaitShippedAsync(machine.Log.LastLsn);
        machine.Flush();
        Assert.True(machine.Log.FirstLsn > 1);
        await machine.CloseAsync();
    });
}
