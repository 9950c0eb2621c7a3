using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;
using Xunit.Abstractions;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>
/// Whole histories, drawn from a seed: writers that commit, flush, publish, collect, die and lose power; successors
/// that take over while the old writer goes on; followers that are killed, left behind and promoted; restores of any
/// state at any time; branches that stay what they were; and an object store that does what object stores do. One
/// thread, no real time: a seed that fails fails again.
/// </summary>
public sealed class RemoteSimulationTests(ITestOutputHelper output)
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Every_restore_equals_a_prefix_of_the_log_and_has_what_was_acknowledged()
    {
        long histories = 0, restores = 0, takeovers = 0, fenced = 0, collected = 0, published = 0, promotions = 0,
            compared = 0, startedOver = 0, branches = 0, branchesCompared = 0;
        Seeds.Run(2000, random =>
        {
            histories++;
            var history = new RemoteHistory(random);
            history.Run();
            restores += history.Restores;
            takeovers += history.TakeOvers;
            fenced += history.Fenced;
            collected += history.Collected;
            published += history.Published;
            promotions += history.Promotions;
            compared += history.Compared;
            startedOver += history.StartedOver;
            branches += history.Branches;
            branchesCompared += history.BranchesCompared;
        });
        output.WriteLine(
            $"{histories} histories: {restores} restores compared, {takeovers} take-overs, {fenced} writers fenced, "
                + $"{published} hints, {collected} objects collected, "
            + $"{branches} branches compared {branchesCompared} times, "
            + $"{compared} followers compared, {startedOver} started over, {promotions} promoted");
    }
}

/// <summary>One history.</summary>
sealed partial class RemoteHistory
{
    static readonly string Scratch = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();

    readonly Random random;
    readonly SimulationLoop loop = new();
    readonly SimulatedBucket bucket;
    readonly SimulatedFaults faults;
    /// <summary>Collection waits for no reader: there are no restores then.</summary>
    readonly bool isHasty;
    /// <summary>Every segment that ever came to be, collected or not: what really is in the log.</summary>
    readonly SortedDictionary<ulong, byte[]> shadow = [];
    readonly List<ToyMachine> zombies = [];
    readonly List<Task> running = [];
    /// <summary>LSNs whose durable=remote commits returned.</summary>
    ulong acknowledged;
    /// <summary>Hints that were published, and when.</summary>
    readonly List<(ulong Lsn, DateTimeOffset At)> hints = [];
    ToyMachine? writer;
    SimulatedObjectStore writerStore = null!;
    int nextAuthor = 100;
    bool deposed;

    public RemoteHistory(Random random)
    {
        this.random = random;
        bucket = new SimulatedBucket(loop.Time) { OnCreated = Created };
        isHasty = random.Next(3) == 0;
        faults = random.Next(4) == 0 ? SimulatedFaults.None : SimulatedFaults.Draw(random);
    }

    public int Restores { get; private set; }
    public int TakeOvers { get; private set; }
    public int Fenced { get; private set; }
    public int Collected { get; private set; }
    public int Published { get; private set; }

    public void Run() => loop.Run(RunAsync);

    async Task RunAsync()
    {
        writer = new ToyMachine(new PowerLossDisk(), writerStore = NewStore(), loop.Time, random, NewAuthor(),
            run => run())
        {
            SegmentBytes = random.Next(2) == 0 ? 2048 : 1 << 20,
            Retention = new Retention
            {
                Keep = TimeSpan.FromSeconds(random.Next(1, 600)),
                KeepHints = random.Next(1, 4),
                // Longer than a restore may take here, storms included; or no time at all, so that followers are left
                // behind.
                ReaderGrace = isHasty ? TimeSpan.Zero : TimeSpan.FromMinutes(60),
            },
        }.Open(mayCreate: true);
        for (int steps = random.Next(5, 60); steps > 0; steps--)
        {
            await Pass(random.Next(3) == 0 ? random.Next(2400) : random.NextDouble() * 2);
            await StepAsync();
        }
        await EndAsync();
    }

    async Task StepAsync()
    {
        if (writer is null)
        {
            if (followers.Count > 0 && random.Next(3) == 0) await PromoteAsync();
            else if (random.Next(3) > 0) await TakeOverAsync();
            else await RestoreAsync();
            return;
        }
        switch (random.Next(26))
        {
            case 24: Go(BranchAsync()); break;
            case 25 when branches.Count > 0: await CheckBranchAsync(random.Next(branches.Count)); break;
            case <= 4: for (int n = random.Next(1, 8); n > 0; n--) Commit(writer); break;
            case 5: writer.WriteJournal(); break;
            case 6: writer.Flush(); break;
            case 7: Go(isHasty ? TurnOverAsync(writer) : PublishAsync(writer)); break;
            case 8: Go(CollectAsync(writer)); break;
            case 9: Go(WaitAsync(writer, writer.Commit(random.Next(1, 4)))); break;
            case 10: await RestoreAsync(); break;
            case 11: if (!isHasty) Go(RestoreAsync()); break;
            case 12: Crash(); break;
            case 13: if (random.Next(2) == 0) Depose(); break;
            case 14: if (zombies.Count > 0) Zombie(zombies[random.Next(zombies.Count)]); break;
            case 15:
                writerStore.DieAt = writerStore.Requests + random.Next(1, 20);
                writerStore.DieAfterDoing = random.Next(2) == 0; break;
            case >= 16: await StepFollowersAsync(); break;
        }
        if (writer is not null && writer.Shipper.State.Final is { } final)
        {
            if (final.Error == RecoveryError.Fenced)
            {
                Fenced++; Assert.True(zombies.Count > 0 || deposed || TakeOvers + Promotions > 0, final.Message);
                writer = null;
            }
            else if (writerStore.DieAt is not null) Crash();
            else throw new Exception("the writer failed", final);
        }
    }

    void Commit(ToyMachine machine)
        => machine.Commit(random.Next(4) == 0 ? random.Next(2, 6) : 1, durable: random.Next(3) > 0,
            padding: random.Next(200));

    async Task WaitAsync(ToyMachine machine, ulong lsn)
    {
        await machine.Shipper.WaitShippedAsync(lsn);
        acknowledged = Math.Max(acknowledged, lsn);
        CheckAgainst(machine, lsn);
    }

    /// <summary>What was acknowledged is in the log, as that writer wrote it.</summary>
    void CheckAgainst(ToyMachine machine, ulong lsn)
    {
        if (lsn < machine.Log.FirstLsn) return;
        byte[]? body = null;
        using (var cursor = machine.Log.ReadFrom(lsn)) if (cursor.TryRead(out var mine)) body = mine.Body.ToArray();
        byte[]? there = null;
        Replay((in Record r) => { if (r.Lsn == lsn) there = r.Body.ToArray(); }, lsn);
        Assert.Equal(body, there);
    }

    async Task PublishAsync(ToyMachine machine)
    {
        var hints = machine.TakeHints();
        var published = await machine.PublishAsync(hints);
        this.hints.Add((published.Header.Lsn, loop.Time.GetUtcNow()));
        Published++;
    }

    /// <summary>Everything before now is history, and goes.</summary>
    async Task TurnOverAsync(ToyMachine machine)
    {
        for (var i = 0; i < 4; i++)
        {
            machine.Flush();
            await PublishAsync(machine);
        }
        await Pass(1200);
        await CollectAsync(machine);
    }

    async Task CollectAsync(ToyMachine machine)
        => Collected += (await machine.Collector.CollectAsync(machine.Retention)).Deletions.Count();

    /// <summary>The process dies, or power is lost; the same directory is opened again.</summary>
    void Crash()
    {
        writerStore.DieAt = 0;
        writer = writer!.AfterCrash(writerStore = NewStore(), powerLoss: random.Next(2) == 0)
            .Open(mayCreate: shadow.Count == 0);
    }

    /// <summary>Somebody decides that the writer is gone, though it may not be.</summary>
    void Depose()
    {
        if (random.Next(2) == 0) zombies.Add(writer!);
        else writerStore.DieAt = 0;
        writer = null;
    }

    void Zombie(ToyMachine zombie)
    {
        if (zombie.Shipper.State.Final is { } final)
        {
            if (final.Error == RecoveryError.Fenced) Fenced++;
            zombies.Remove(zombie);
            deposed = true;
            return;
        }
        switch (random.Next(4))
        {
            case 0: Go(PublishAsync(zombie)); break;
            case 1: Go(CollectAsync(zombie)); break;
            case 2: zombie.Flush(); break;
            default: Go(WaitAsync(zombie, zombie.Commit(random.Next(1, 3)))); break;
        }
    }

    async Task TakeOverAsync()
    {
        writerStore = NewStore();
        try
        {
            writer = await ToyMachine.TakeOverAsync(writerStore, loop.Time, random, NewAuthor(), run => run(), Scratch);
            if (writer is not null) TakeOvers++;
        }
        catch (RecoveryException e) when (IsFair(e)) { }
    }

    /// <summary>Restores some state, and compares it with what the log says it was.</summary>
    async Task RestoreAsync()
    {
        if (isHasty) return;
        var context =
            new RemoteContext
            {
                Store = NewStore(),
                Time = loop.Time,
                Random = random,
                OpenSpool = () => new MemoryStream()
            };
        // Those that every listing shows by now.
        ulong hintsBefore = hints.Where(h => h.At < loop.Time.GetUtcNow() - faults.StaleBy).Select(h => h.Lsn)
            .DefaultIfEmpty().Max();
        ulong atLeast = acknowledged, end = shadow.Count == 0 ? 0 : LastLsn();
        var target = random.Next(4) switch
        {
            0 => RestoreTarget.Newest,
            1 => RestoreTarget.At((ulong)random.NextInt64((long)hintsBefore, (long)Math.Max(hintsBefore, end) + 1)),
            // Before the hints that retention keeps it may be gone.
            2 => RestoreTarget.At((ulong)random.NextInt64(1, (long)Math.Max(1, end) + 1)),
            _ => RestoreTarget.At(loop.Time.GetUtcNow() - TimeSpan.FromSeconds(random.Next(30))),
        };
        ToyRestore restored;
        var began = loop.Time.GetUtcNow();
        try { restored = await ToyRestore.RunAsync(await RestorePlanner.PlanAsync(context, target), Scratch); }
        catch (RecoveryException e) when (!IsFair(e))
        {
            throw new Exception(
            $"restoring {target}, begun {began:T}, ended {loop.Time.GetUtcNow():T}, newest hints {hintsBefore}, end "
                + $"{end}", e);
        }
        catch (RecoveryException e) when (IsFair(e)
            && (e.Error != RecoveryError.NotFound || hintsBefore == 0 || target.TimeMs is not null
            || target.Lsn < hintsBefore))
        { return; }
        Restores++;
        var expected = new ToyState();
        Replay((in Record r) => expected.Apply(r), restored.Lsn);
        if (restored.State.Describe() != expected.Describe())
            throw new Exception(
                $"{target} gave LSN {restored.Lsn}:\n{restored.State.Describe()}\ninstead of\n{expected.Describe()}");
        if (target == RestoreTarget.Newest && restored.Lsn < atLeast)
            throw new Exception($"LSN {atLeast} was acknowledged, and {restored.Lsn} restored");
        if (target.Lsn is { } lsn) Assert.InRange(restored.Lsn, Math.Min(lsn, restored.Lsn), lsn);
        byte last = 0;
        Replay((in Record r) => last = r.Flags, restored.Lsn);
        Assert.Equal(0, last);
    }

    /// <summary>
    /// Errors that may be: nothing published yet, out of retention, out of patience in a storm, somebody else took
    /// over.
    /// </summary>
    bool IsFair(RecoveryException e) =>
        e.InnerException is ObjectStoreException
        || e.Error == RecoveryError.NotFound
        // A stale listing.
        || e.Error == RecoveryError.Remote && e.Message.Contains("again later")
        || e.Error == RecoveryError.Busy
        || e.Error == RecoveryError.Fenced && (zombies.Count > 0 || TakeOvers + Promotions > 0);

    static bool IsDeath(Exception? e) => e is not null && (e is SimulatedDeath || IsDeath(e.InnerException));

    async Task EndAsync()
    {
        foreach (var machine in zombies) ((SimulatedObjectStore)machine.Store).Faults = SimulatedFaults.None;
        await EndFollowersAsync();
        if (writer is not null && writerStore.DieAt is null)
        {
            writerStore.Faults = SimulatedFaults.None;
            ulong last = writer.Log.LastLsn;
            try
            {
                await writer.Shipper.WaitShippedAsync(last);
                acknowledged = Math.Max(acknowledged, last);
                CheckAgainst(writer, last);
                await PublishAsync(writer);
                await RestoreAsync();
                var expected = new ToyState();
                Replay((in Record r) => expected.Apply(r), last);
                Assert.Equal(expected.Describe(), writer.State.Describe());
            }
            catch (RecoveryException e) when (IsFair(e)) { }
        }
        await Pass(3600);
        for (var i = 0; i < branches.Count; i++) await CheckBranchAsync(i, isCalm: true);
        foreach (var task in running.Where(t => t.IsCompleted)) await task;
        CheckChain();
    }

    /// <summary>The log is one chain without gaps or overlaps, and nothing in it twice.</summary>
    void CheckChain()
    {
        RemoteLogEnd? end = null;
        foreach (var (first, bytes) in shadow)
        {
            using var segment = RemoteSegment.Parse(RemoteNames.Segment(first), bytes);
            (end ??= new RemoteLogEnd(first, default, 0, 0, 0)).CheckFollows(segment, ToyMachine.LogId);
            end = RemoteLogEnd.After(segment.Header, segment.Hash);
        }
    }

    void Go(Task task) => running.Add(QuietlyAsync(task));

    async Task QuietlyAsync(Task task)
    {
        try { await task; }
        catch (RecoveryException e) when (IsFair(e)) { }
        catch (Exception e) when (IsDeath(e)) { }
        catch (ObjectDisposedException) { }
        // Who waits for a dead writer waits for ever; that is no error, and its task ends with the history.
    }

    void Created(string name, byte[] bytes)
    {
        if (!RemoteNames.TryParseSegment(name, out ulong first)) return;
        shadow.Add(first, bytes);
        created.Add((RemoteSegmentFormat.ReadHeader(bytes, name).LastLsn, loop.Time.GetUtcNow()));
    }

    ulong LastLsn()
    {
        var (first, bytes) = shadow.Last();
        return RemoteSegmentFormat.ReadHeader(bytes, RemoteNames.Segment(first)).LastLsn;
    }

    void Replay(RecordTaken take, ulong to)
    {
        foreach (var (first, bytes) in shadow)
        {
            if (first > to) return;
            using var segment = RemoteSegment.Parse(RemoteNames.Segment(first), bytes);
            using var records = segment.OpenRecords();
            while (records.TryRead(out var record) && record.Lsn <= to) take(record);
        }
    }

    SimulatedObjectStore NewStore() => new(bucket, random, faults);

    ulong NewAuthor() => (ulong)nextAuthor++;

    Task Pass(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), loop.Time);
}
