using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>Hints, collection and restores, on simulated time.</summary>
public sealed class RestoreTests
{
    static readonly string Scratch = Path.GetTempPath();
    readonly SimulationLoop loop = new();
    readonly SimulatedBucket bucket;
    readonly SimulatedObjectStore store;

    public RestoreTests()
    {
        bucket = new SimulatedBucket(loop.Time);
        store = new SimulatedObjectStore(bucket, new Random(1));
    }

    RemoteContext Reader => new() { Store = store, Time = loop.Time, Random = new Random(3), OpenSpool = null };

    ToyMachine NewMachine(SimulatedObjectStore? on = null)
        => new(new PowerLossDisk(), on ?? store, loop.Time, new Random(5), 7, run => run());

    Task Pass(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), loop.Time);

    async Task<ToyRestore> RestoreAsync(RestoreTarget target, ulong? hints = null) =>
        await ToyRestore.RunAsync(await RestorePlanner.PlanAsync(Reader, target, hints), Scratch);

    /// <summary>Commits, flushes and hints in turns; returns what the state was after each LSN.</summary>
    async Task<Dictionary<ulong, string>> LiveAsync(ToyMachine machine, int rounds, double pause = 1)
    {
        var states = new Dictionary<ulong, string>();
        for (int i = 0; i < rounds; i++)
        {
            for (int n = 0; n < 5; n++) states[machine.Commit(parts: 1 + n % 3)] = machine.State.Describe();
            machine.WriteJournal();
            machine.Flush();
            states[machine.Commit()] = machine.State.Describe();
            await machine.PublishAsync();
            await Pass(pause);
        }
        return states;
    }

    [Fact]
    public void Every_commit_since_the_first_hints_is_reachable_by_lsn_and_time() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await machine.PublishAsync();
        var states = await LiveAsync(machine, 4);
        foreach (var (lsn, state) in states)
        {
            var restored = await RestoreAsync(RestoreTarget.At(lsn));
            Assert.Equal((lsn, state), (restored.Lsn, restored.State.Describe()));
        }
        var newest = await RestoreAsync(RestoreTarget.Newest);
        Assert.Equal(machine.State.Describe(), newest.State.Describe());

        ulong before = machine.Commit();
        string then = machine.State.Describe();
        await Pass(5);
        var between = loop.Time.GetUtcNow();
        await Pass(5);
        machine.Commit();
        await machine.Shipper.WaitShippedAsync(machine.Log.LastLsn);
        var atTime = await RestoreAsync(RestoreTarget.At(between));
        Assert.Equal((before, then), (atTime.Lsn, atTime.State.Describe()));
        await machine.CloseAsync();
    });

    [Fact]
    public void Lsn_inside_a_group_gives_the_group_before() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await machine.PublishAsync();
        ulong first = machine.Commit();
        ulong second = machine.Commit(parts: 3);
        await machine.Shipper.WaitShippedAsync(second);
        Assert.Equal(first, (await RestoreAsync(RestoreTarget.At(second - 1))).Lsn);
        Assert.Equal(second, (await RestoreAsync(RestoreTarget.At(second))).Lsn);
        await machine.CloseAsync();
    });

    [Fact]
    public void No_hints_no_remote_and_beyond_the_end_are_errors_that_say_so() => loop.Run(async () =>
    {
        var e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.Newest));
        Assert.Equal(RecoveryError.NotFound, e.Error);
        Assert.Contains("store.json", e.Message);
        var machine = NewMachine().Open(mayCreate: true);
        await machine.Shipper.WaitShippedAsync(machine.Commit());
        await machine.PublishAsync();
        e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.At(99)));
        Assert.Equal(RecoveryError.NotFound, e.Error);
        Assert.Contains("ends at 1", e.Message);
        await machine.Shipper.WaitShippedAsync(machine.Commit());
        bucket.Delete(bucket.Names.Single(n => n.StartsWith(RemoteNames.Hints, StringComparison.Ordinal)));
        bucket.Delete(RemoteNames.Segment(1));
        e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.Newest));
        Assert.Equal(RecoveryError.NotFound, e.Error);
        Assert.Contains("not an empty database", e.Message);
        await machine.CloseAsync();
    });

    [Fact]
    public void Every_commit_before_the_first_hints_is_reachable_as_long_as_retention_says() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        var began = loop.Time.GetUtcNow();
        await Pass(60);
        var states = new SortedDictionary<ulong, string>();
        for (int i = 0; i < 5; i++)
        {
            states[machine.Commit()] = machine.State.Describe();
            await machine.Shipper.WaitShippedAsync(machine.Log.LastLsn);
        }
        async Task CheckAsync()
        {
            foreach (var (lsn, state) in states)
            {
                var restored = await RestoreAsync(RestoreTarget.At(lsn));
                Assert.Equal((lsn, state), (restored.Lsn, restored.State.Describe()));
            }
        }
        Assert.Equal(states.Last().Value, (await RestoreAsync(RestoreTarget.Newest)).State.Describe());
        await CheckAsync();
        machine.Flush();
        machine.Commit();
        await machine.PublishAsync();
        await CheckAsync();
        var e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.At(began)));
        Assert.Equal(RecoveryError.NotFound, e.Error);
        Assert.Contains("there was nothing yet", e.Message);
        Assert.Equal(machine.State.Describe(), (await RestoreAsync(RestoreTarget.Newest, hints: 0)).State.Describe());

        var retention =
            new Retention { Keep = TimeSpan.FromMinutes(15), KeepHints = 1, ReaderGrace = TimeSpan.FromMinutes(5) };
        await Pass(600);
        machine.Commit();
        await machine.PublishAsync();
        await machine.Collector.CollectAsync(retention);
        await CheckAsync();
        await LiveAsync(machine, 6, pause: 600);
        Assert.Contains((await machine.Collector.CollectAsync(retention)).Deletions,
            d => d.Name != RemoteNames.Segment(1) && d.Name.StartsWith(RemoteNames.Segments, StringComparison.Ordinal));
        e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.At(states.First().Key)));
        Assert.Equal(RecoveryError.NotFound, e.Error);
        Assert.Contains("any more", e.Message);
        await machine.CloseAsync();
    });

    [Fact]
    public void Damaged_or_missing_objects_are_named_with_what_they_hold_and_what_still_verifies() => loop.Run(
        async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await LiveAsync(machine, 3);
        machine.Commit();
        await machine.Shipper.WaitShippedAsync(machine.Log.LastLsn);
        await machine.CloseAsync();
        var hints = bucket.Names.Where(n => n.StartsWith("hints/")).ToList();
        Assert.True(RemoteNames.TryParseHints(hints[1], out ulong olderLsn));
        string state = machine.State.Describe();

        async Task<RecoveryException> Refused(string name, bool remove)
        {
            var original = bucket.Find(name)!.Bytes;
            if (remove) bucket.Delete(name);
            else
            {
                var damaged = (byte[])original.Clone();
                damaged[damaged.Length / 2] ^= 1;
                bucket.Damage(name, damaged);
            }
            var e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.Newest));
            bucket.Delete(name);
            bucket.TryCreate(name, original);
            Assert.Equal(RecoveryError.Corrupt, e.Error);
            Assert.Contains(name, e.Message);
            return e;
        }

        // An extent of the newest hints.
        var plan = await RestorePlanner.PlanAsync(Reader, RestoreTarget.Newest);
        foreach (bool remove in new[] { true, false })
        {
            var e = await Refused(plan.Extents[0].Name, remove);
            Assert.Contains(".sst", e.Message);
            Assert.Contains($"--hints {olderLsn}", e.Message);
        }
        // What is offered works.
        var kept = bucket.Find(plan.Extents[0].Name)!.Bytes;
        bucket.Delete(plan.Extents[0].Name);
        Assert.Equal(state, (await RestoreAsync(RestoreTarget.Newest, olderLsn)).State.Describe());
        bucket.TryCreate(plan.Extents[0].Name, kept);
        // The newest hints themselves.
        Assert.Contains($"--hints {olderLsn}", (await Refused(hints[0], remove: false)).Message);
        // A segment after them, and one swapped for another.
        string segment = plan.Segments[^1].Name;
        Assert.True(RemoteNames.TryParseSegment(segment, out ulong first));
        var refused = await Refused(segment, remove: false);
        Assert.Contains($"--lsn {first - 1}", refused.Message);
        Assert.Equal(first - 1, (await RestoreAsync(RestoreTarget.At(first - 1))).Lsn);
        var bytes = bucket.Find(segment)!.Bytes;
        bucket.Damage(segment, bucket.Find(bucket.Names.First(n => n.StartsWith("log/")))!.Bytes);
        Assert.Contains("swapped",
            (await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.Newest))).Message);
        bucket.Damage(segment, bytes);
        Assert.Equal(state, (await RestoreAsync(RestoreTarget.Newest)).State.Describe());
    });

    [Fact]
    public void Missing_segment_in_the_middle_is_a_hole_not_the_end() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await machine.PublishAsync();
        for (int i = 0; i < 4; i++) await machine.Shipper.WaitShippedAsync(machine.Commit());
        bucket.Delete(RemoteNames.Segment(3));
        var e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.Newest));
        Assert.Equal(RecoveryError.Corrupt, e.Error);
        Assert.Contains(RemoteNames.Segment(3), e.Message);
        Assert.Contains("--lsn 2", e.Message);
        await machine.CloseAsync();
    });

    [Fact]
    public void Sealed_file_that_changed_on_disk_is_never_shipped() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        machine.Commit();
        machine.Flush();
        foreach (var table in machine.Tables.Values) table[0] ^= 1;
        var e = await Assert.ThrowsAsync<RecoveryException>(() => machine.PublishAsync());
        Assert.Equal(RecoveryError.Corrupt, e.Error);
        Assert.DoesNotContain(bucket.Names, n => n.StartsWith("extents/") || n.StartsWith("hints/"));
        await machine.CloseAsync();
    });

    [Fact]
    public void Extents_are_sent_once_also_after_a_restart() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        machine.Commit();
        machine.Flush();
        await machine.PublishAsync();
        machine.Commit();
        await machine.PublishAsync();
        Assert.Equal(1, store.Counters.Requests(RequestKind.Create, ObjectClass.Extents));
        var again = machine.AfterCrash(new SimulatedObjectStore(bucket, new Random(2)), powerLoss: false)
            .Open(mayCreate: false);
        again.Commit();
        await again.PublishAsync();
        Assert.Equal(0, again.Store.Counters.Requests(RequestKind.Create, ObjectClass.Extents));
        await again.CloseAsync();
    });

    [Fact]
    public void Collection_keeps_what_retention_pins_and_readers_need_and_says_why() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await machine.PublishAsync();
        var states = await LiveAsync(machine, 2, pause: 600);
        var (pinnedLsn, pinnedState) = states.MaxBy(s => s.Key);
        await Pin.PutAsync(Reader, "before-upgrade", Pin.At(pinnedLsn, note: "snapshot"));
        foreach (var (lsn, state) in await LiveAsync(machine, 6, pause: 600)) states[lsn] = state;
        var retention =
            new Retention { Keep = TimeSpan.FromMinutes(15), KeepHints = 2, ReaderGrace = TimeSpan.FromMinutes(5) };
        var dry = await machine.Collector.PlanAsync(retention);
        int before = bucket.Names.Count;
        Assert.Equal(before, bucket.Names.Count);
        Assert.Contains(dry.Items, i => !i.Delete && i.Why.Contains("before-upgrade"));
        Assert.All(dry.Items, i => Assert.NotEmpty(i.Why));
        var done = await machine.Collector.CollectAsync(retention);
        Assert.Equal(dry.Deletions.Select(d => d.Name), done.Deletions.Select(d => d.Name));
        Assert.Equal(before - dry.Deletions.Count(), bucket.Names.Count);
        Assert.True(dry.Deletions.Count() > 5);

        foreach (var (lsn, state) in states.Where(s => s.Key >= done.OldestHintsLsn))
            Assert.Equal(state, (await RestoreAsync(RestoreTarget.At(lsn))).State.Describe());
        Assert.Equal(pinnedState, (await RestoreAsync(RestoreTarget.At(pinnedLsn))).State.Describe());
        var e = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(RestoreTarget.At(1)));
        Assert.Equal(RecoveryError.NotFound, e.Error);
        // Nothing more to do, and an idle store's collection asks but deletes nothing.
        Assert.Empty((await machine.Collector.CollectAsync(retention)).Deletions);
        await machine.CloseAsync();
    });

    [Fact]
    public void Restore_that_races_collection_succeeds_within_the_grace() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        var states = await LiveAsync(machine, 1);
        var retention =
            new Retention { Keep = TimeSpan.FromSeconds(1), KeepHints = 1, ReaderGrace = TimeSpan.FromMinutes(30) };
        var plan = await RestorePlanner.PlanAsync(Reader, RestoreTarget.Newest);
        // While the restore dawdles, everything it started from falls out of retention.
        for (int i = 0; i < 5; i++)
        {
            await Pass(300);
            await LiveAsync(machine, 1);
            await machine.Collector.CollectAsync(retention);
        }
        var restored = await ToyRestore.RunAsync(plan, Scratch);
        Assert.Equal(machine.State.Describe(), restored.State.Describe());
        await machine.CloseAsync();
    });

    [Fact]
    public void Hints_in_retention_that_do_not_verify_stop_collection() => loop.Run(async () =>
    {
        var machine = NewMachine().Open(mayCreate: true);
        await LiveAsync(machine, 3, pause: 600);
        string newest = bucket.Names.First(n => n.StartsWith("hints/"));
        var bytes = (byte[])bucket.Find(newest)!.Bytes.Clone();
        bytes[60] ^= 1;
        bucket.Damage(newest, bytes);
        int before = bucket.Names.Count;
        var e = await Assert.ThrowsAsync<RecoveryException>(()
            => machine.Collector.CollectAsync(
                new Retention { Keep = TimeSpan.Zero, ReaderGrace = TimeSpan.FromSeconds(1), KeepHints = 1 }));
        Assert.Contains("nothing is collected", e.Message);
        Assert.Equal(before, bucket.Names.Count);
        await machine.CloseAsync();
    });

    [Fact]
    public void Death_at_any_request_leaves_a_remote_that_goes_on_and_restores()
    {
        long total = long.MaxValue;
        for (long n = 1; n <= total; n++)
            foreach (bool after in new[] { false, true })
            {
                var test = new RestoreTests();
                long requests = 0;
                test.loop.Run(async () => requests = await test.DieAtAsync(n, after));
                total = Math.Min(total, requests);
            }
        Assert.InRange(total, 30, 1000);
    }

    /// <summary>
    /// Runs the same life, in which the process dies at a request; then another process goes on. Returns the requests
    /// of a whole life.
    /// </summary>
    async Task<long> DieAtAsync(long n, bool after)
    {
        var mortal = new SimulatedObjectStore(bucket, new Random(1)) { DieAt = n, DieAfterDoing = after };
        var retention =
            new Retention { Keep = TimeSpan.FromSeconds(30), KeepHints = 1, ReaderGrace = TimeSpan.FromSeconds(20) };
        var machine = NewMachine(mortal).Open(mayCreate: true);
        bool connected = false, died = false;
        try
        {
            await machine.Shipper.ConnectedAsync();
            connected = true;
            await machine.PublishAsync();
            for (int i = 0; i < 4; i++)
            {
                for (int c = 0; c < 3; c++) machine.Commit(parts: 1 + c);
                await machine.Shipper.WaitShippedAsync(machine.Log.LastLsn);
                machine.Flush();
                machine.WriteJournal();
                await machine.PublishAsync();
                await Pass(40);
                await machine.Collector.CollectAsync(retention);
            }
        }
        catch (Exception e) when (e is SimulatedDeath || e.InnerException is SimulatedDeath
            || e.InnerException?.InnerException is SimulatedDeath)
        { died = true; }
        long requests = mortal.Requests;
        mortal.DieAt = 0;
        var heir = machine.AfterCrash(new SimulatedObjectStore(bucket, new Random(2)), powerLoss: true)
            .Open(mayCreate: !connected);
        heir.Commit();
        heir.Flush();
        await heir.PublishAsync();
        await Pass(60);
        heir.Commit();
        await heir.PublishAsync();
        await heir.Collector.CollectAsync(retention);
        Assert.Equal(heir.State.Describe(), (await RestoreAsync(RestoreTarget.Newest)).State.Describe());
        // Whatever was left lying about is collected in time: all that stays is needed.
        await Pass(100);
        heir.Commit();
        await heir.PublishAsync();
        await heir.Collector.CollectAsync(retention);
        Assert.Equal(heir.State.Describe(), (await RestoreAsync(RestoreTarget.Newest)).State.Describe());
        Assert.InRange(bucket.Names.Count(name => name.StartsWith("extents/")), 0, 2);
        await heir.CloseAsync();
        return died ? long.MaxValue : requests;
    }
}
