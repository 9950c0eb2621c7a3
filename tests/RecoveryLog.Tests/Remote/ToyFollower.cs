using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>
/// A follower of toy stores: begins with hints or at the start of the log, applies segments as they come, settles now
/// and then, starts over when what it needs was collected, dies and comes back with what it had settled, and can be
/// promoted. Where a real follower decides, it asks the same code.
/// </summary>
sealed class ToyFollower(Func<SimulatedObjectStore> newStore, TimeProvider time, Random random, string scratch)
{
    readonly CancellationTokenSource stopping = new();
    readonly TimeSpan interval = TimeSpan.FromSeconds(random.Next(2) == 0 ? 60 : 600);
    ToyRestore? settled;

    /// <summary>Its way to the remote; another one after each death.</summary>
    public SimulatedObjectStore Store { get; private set; } = newStore();

    /// <summary>What it has; null before it began.</summary>
    public ToyRestore? Has { get; private set; }

    public int StartedOver { get; private set; }

    /// <summary>Told when it says that it has everything, with when it looked.</summary>
    public Action<ToyFollower, DateTimeOffset>? CaughtUp { get; init; }

    /// <summary>Completes when it was stopped or died.</summary>
    public Task Running { get; private set; } = Task.CompletedTask;

    RemoteContext Context
        => new() { Store = Store, Time = time, Random = random, OpenSpool = () => new MemoryStream(), Tries = 3 };

    public void Start() => Running = RunAsync(stopping.Token);

    public async Task StopAsync()
    {
        stopping.Cancel();
        await Running;
    }

    /// <summary>The process dies at its next request; another one opens what it had settled.</summary>
    public ToyFollower AfterDeath()
    {
        Store.DieAt = 0;
        stopping.Cancel();
        return new ToyFollower(newStore, time, random, scratch)
        {
            CaughtUp = CaughtUp,
            Has = settled?.Copy(),
            settled = settled
        };
    }

    async Task RunAsync(CancellationToken stop)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                await FollowAsync(stop);
            }
            catch (OperationCanceledException) { return; }
            catch (SimulatedDeath) { return; }
            catch (RecoveryException e) when (e.InnerException is SimulatedDeath) { return; }
            // An outage, or hints that are still to come.
            catch (RecoveryException e) when (e.Error is RecoveryError.Remote or RecoveryError.NotFound) { }
            try { await Task.Delay(Context.Backoff.After(failures, random), time, stop); }
            catch (OperationCanceledException) { return; }
        }
    }

    async Task FollowAsync(CancellationToken stop)
    {
        var store = await FetchStoreAsync(stop);
        var place = Has is null ? await BeginAsync(store, stop) : await Context.PlaceOfAsync(store, Has.Lsn + 1, stop);
        if (place is null)
        {
            await StartOverAsync(store, stop);
            return;
        }
        using var segments = new RemoteSegments(Context, store, place.Value, interval);
        await segments.ListAsync(stop);
        try
        {
            while (true)
            {
                var looked = time.GetUtcNow();
                if (await segments.TakeAsync(stop) is { } segment)
                {
                    using (segment) Apply(segment);
                    if (random.Next(4) == 0) settled = Has!.Copy();
                    continue;
                }
                if (!await segments.IsEndAsync(stop)) continue;
                CaughtUp?.Invoke(this, looked);
                await segments.WaitAsync(stop);
            }
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            await StartOverAsync(store, stop);
        }
    }

    async Task<StoreObject> FetchStoreAsync(CancellationToken stop) =>
        await Context.RetryAsync(token => StoreObject.FetchAsync(Store, token), stop)
            ?? throw new RecoveryException(RecoveryError.NotFound, "There is no remote yet.");

    async Task<RemoteLogEnd?> BeginAsync(StoreObject store, CancellationToken stop)
    {
        if (store.FirstLsn == 1 && await Context.HintsUpToAsync(store, ulong.MaxValue, stop) is null
            && await Context.PlaceOfAsync(store, 1, stop) is not null)
        {
            Has = new ToyRestore();
            return RemoteLogEnd.Start(store);
        }
        try
        {
            var plan = await RestorePlanner.PlanAsync(Context, RestoreTarget.Newest, cancellation: stop);
            Has = await ToyRestore.BeginAsync(plan, scratch);
            return plan.Hints.Header.Start;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            // What these hints need was collected while it was fetched: there are others.
            throw new RecoveryException(RecoveryError.Remote, e.Message, e);
        }
    }

    async Task StartOverAsync(StoreObject store, CancellationToken stop)
    {
        // Only where hints lead beyond: else it waits for such, with what it has.
        if (await Context.HintsUpToAsync(store, ulong.MaxValue, stop) is not { } hints
            || hints.Header.Start.NextLsn <= Has!.Lsn + 1)
            throw new RecoveryException(RecoveryError.Remote, "There are no later hints yet.");
        StartedOver++;
        Has = settled = null;
    }

    void Apply(RemoteSegment segment)
    {
        using var records = segment.OpenRecords();
        while (records.TryRead(out var record))
            if (record.Lsn > Has!.Lsn) Has.Apply(record);
    }

    /// <summary>Stops, reads to the end and becomes the writer; null when it cannot.</summary>
    public async Task<(ToyMachine Machine, RemoteLogEnd Before)?> PromoteAsync(ulong author)
    {
        await StopAsync();
        if (Has is null) return null;
        var store = await FetchStoreAsync(default);
        if (await Context.PlaceOfAsync(store, Has.Lsn + 1) is not { } place) return null;
        using var segments = new RemoteSegments(Context, store, place, interval);
        await segments.ListAsync(default);
        var (before, ours) = await RemotePromotion.RunAsync(Context, Context, store, segments, author, Apply);
        return (ToyMachine.Promoted(Has, ours, Store, time, random, run => run()), before);
    }
}
