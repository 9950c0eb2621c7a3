using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// Ships the local log to a remote, in the background, for as long as it lives: a segment when
/// <see cref="ShipperOptions.SyncInterval"/> has passed with something to send, when there is enough for one, or at
/// once when somebody waits. With nothing to send it makes no request at all.
/// </summary>
/// <remarks>
/// Only records that are durable locally are shipped (they are synced first when they are not), so the remote is never
/// ahead of what this store finds after a crash. Local segments are held until the remote has them. A step that fails
/// in a way that may pass is tried again, with growing waits, for ever; the local log is the queue. Thread-safe.
/// </remarks>
internal sealed class Shipper : IAsyncDisposable
{
    const string Name = "the shipper to the remote";

    readonly RemoteContext context;
    readonly ShipperOptions options;
    readonly LocalLog log;
    readonly ShippedWaiters waiters = new(), patient = new();
    readonly CancellationTokenSource stopping = new();
    readonly Lock wakeGate = new();
    TaskCompletionSource wake = NewWake();
    TaskCompletionSource<RemoteLog> connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource looked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    // Null after the queue was let go, until there is a remote again.
    LogHold? hold;
    LogCursor? cursor;
    SegmentBuilder? builder;
    PackedSegment? unsettled;
    RemoteLog? remote;
    ulong shippedLsn, salvagedLsn, gapLsn;
    Task? loop;

    /// <summary>Holds the local log from its oldest record on; ships nothing before <see cref="Start"/>.</summary>
    public Shipper(RemoteContext context, LocalLog log, ShipperOptions options)
    {
        (this.context, this.log, this.options) = (context, log, options);
        hold = log.Hold(Name, log.FirstLsn);
        State = new RemoteState(context, log, () => ShippedLsn);
    }

    /// <summary>What to tell operators.</summary>
    public RemoteState State { get; }

    /// <summary>The newest LSN that the remote is known to have; 0 before it was reached.</summary>
    public ulong ShippedLsn => Volatile.Read(ref shippedLsn);

    /// <summary>
    /// The last LSN of the newest gap that this writer left in the remote's log; 0 when it left none.
    /// </summary>
    internal ulong GapLsn => Volatile.Read(ref gapLsn);

    /// <summary>Begins to ship.</summary>
    public void Start() => loop ??= options.Start(RunAsync);

    /// <summary>The remote's log, once it was reached. Fails when it never can be.</summary>
    public Task<RemoteLog> ConnectedAsync(CancellationToken cancellation = default)
        => connected.Task.WaitAsync(cancellation);

    /// <summary>
    /// Completes, and never fails, when it was asked whose the remote is: it answered, or the first try found it away.
    /// What it answered is in
    /// <see cref="State"/>.
    /// </summary>
    public Task Looked => looked.Task;

    /// <summary>
    /// Completes when the remote has everything up to an LSN. Ships at once: all who wait share a PUT, and those who
    /// come while one is under way share the next. Fails with Fenced, or with what else keeps anything from being
    /// shipped; during an outage it waits.
    /// </summary>
    public Task WaitShippedAsync(ulong lsn, CancellationToken cancellation = default)
    {
        var waiting = waiters.Add(lsn, ShippedLsn, cancellation);
        if (waiting.IsCompleted) return waiting;
        // Shipped between the look and the registration?
        waiters.Reached(ShippedLsn);
        Wake();
        return waiting;
    }

    /// <summary>The same for a thread that has nothing better to do.</summary>
    public void WaitShipped(ulong lsn, CancellationToken cancellation = default)
        => WaitShippedAsync(lsn, cancellation).GetAwaiter().GetResult();

    /// <summary>
    /// Completes when the remote has everything up to an LSN, without asking for a request: with the segment that the
    /// interval sends anyway.
    /// </summary>
    public Task WhenShippedAsync(ulong lsn, CancellationToken cancellation = default)
    {
        var waiting = patient.Add(lsn, ShippedLsn, cancellation);
        patient.Reached(ShippedLsn);
        return waiting;
    }

    /// <summary>
    /// Throws what keeps this store from ever shipping again: Fenced, or Failed's cause. Costs one read while all is
    /// well.
    /// </summary>
    public void ThrowIfLost()
    {
        if (State.Final is { } why) throw why.Again();
    }

    /// <summary>Stops, without shipping what is left (wait for it before, where that matters).</summary>
    public async ValueTask DisposeAsync()
    {
        stopping.Cancel();
        if (loop is not null) await loop;
        if (State.Final is { Error: RecoveryError.Fenced }) Salvage();
        var stopped = new RecoveryException(RecoveryError.Remote,
            "The store was closed before the remote had everything.",
            "Open it again to ship the rest");
        waiters.Fail(stopped);
        patient.Fail(stopped);
        connected.TrySetException(stopped);
        looked.TrySetResult();
        // Nobody may ever ask.
        _ = connected.Task.Exception;
        unsettled?.Dispose();
        builder?.Dispose();
        cursor?.Dispose();
        hold?.Dispose();
        stopping.Dispose();
        State.Stopped();
    }

    async Task RunAsync()
    {
        try
        {
            remote = await ForeverAsync(ConnectAsync);
            Shipped(remote.End.LastLsn);
            builder = new SegmentBuilder(context.OpenSpool,
                Math.Max(options.SegmentBytes * 2, SegmentBuilder.DefaultMemoryBytes));
            if (hold is null) await RegainAsync();
            else cursor = log.ReadFrom(remote.End.NextLsn, LogReach.Written, Name);
            connected.TrySetResult(remote);
            for (; ; )
            {
                await UntilSomethingIsThereAsync();
                await GatherAsync();
                await ShipAsync();
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested) { }
        catch (RecoveryException e) { Lose(e); }
        catch (ObjectDisposedException e)
        {
            Lose(new RecoveryException(RecoveryError.ReadOnly,
                "The local log was closed under the shipper.",
                "Open the store again to ship the rest", e));
        }
        // Whatever it is: a shipper that stopped must never look as if it went on.
        catch (Exception e)
        {
            Lose(new RecoveryException(RecoveryError.Remote,
                $"The shipper stopped at an error that it did not expect: {e.Message}",
                "Open the store again, and report this", e));
        }
    }

    async ValueTask<RemoteLog> ConnectAsync(CancellationToken cancellation)
    {
        // Here a failed try is repeated by the loop, which tells of the outage; so no step is patient on its own.
        var impatient = context with { Tries = 1 };
        // Whose it is comes first, where that takes no writing: commits may wait for the answer.
        var known = options.MayCreate
            ? null
            : await RemoteTenure.ResumeAsync(impatient, log, options.Author, null, cancellation);
        if (known is not null) looked.TrySetResult();
        if (options.Probe) await RemoteProbe.CheckAsync(context.Store, context.Random, cancellation);
        var found = known ?? await RemoteTenure.ResumeAsync(impatient, log, options.Author, log.FirstLsn, cancellation);
        looked.TrySetResult();
        options.Connected?.Invoke();
        // Without a hold the log may lose more meanwhile: that gap is closed when there is one again.
        return found.End.NextLsn >= log.FirstLsn || hold is null ? found : await RestartAsync(found, cancellation);
    }

    /// <summary>The log between the remote's end and what is still here is lost: says so, or leaves a gap.</summary>
    async ValueTask<RemoteLog> RestartAsync(RemoteLog found, CancellationToken cancellation)
    {
        if (!options.MayRestart)
            throw new RecoveryException(RecoveryError.NotFound,
                $"The remote {context.Store.Location} ends at LSN {found.End.LastLsn}, "
                + $"and the local log begins at {log.FirstLsn}: what lies between was dropped before it was shipped.",
                "Ship to a new prefix, or start afresh from new hints, which leaves a gap in history: "
                + "option restart-remote=on, or `recovery sync --restart DIR`")
            { Path = context.Store.Location, Lsn = found.End.LastLsn };
        using var gap = GapAfter(found);
        await found.AppendAsync(gap, cancellation);
        return found;
    }

    /// <summary>
    /// What stands for the records that are gone. From before it is sent until hints come after it, nothing newer can
    /// be restored.
    /// </summary>
    PackedSegment GapAfter(RemoteLog found)
    {
        State.NeedsHints = true;
        options.Restarting?.Invoke();
        Volatile.Write(ref gapLsn, log.FirstLsn - 1);
        return SegmentBuilder.Gap(log.LogId, log.Epoch, options.Author, found.End.NextLsn, log.FirstLsn,
            context.Time.GetUtcNow().ToUnixTimeMilliseconds(), found.End.Hash);
    }

    /// <summary>
    /// While the remote is away and the local log, which is the queue, has reached its bound: lets it go, if that is
    /// allowed, so that commits go on.
    /// </summary>
    void LetQueueGoWhenFull()
    {
        if (!options.MayRestart || hold is null || log.SizeBytes < options.QueueBytesMax) return;
        hold.Dispose();
        hold = null;
        cursor?.Dispose();
        cursor = null;
        State.QueueLetGo(log.LastLsn);
        options.QueueLetGo?.Invoke();
    }

    /// <summary>
    /// After the queue was let go, and with a remote again: holds what is left of the log, and goes on from there.
    /// </summary>
    async ValueTask RegainAsync()
    {
        while (hold is null)
        {
            try { hold = log.Hold(Name, log.FirstLsn); }
            // Dropped between the two looks.
            catch (RecoveryException e) when (e.Error == RecoveryError.NotFound) { continue; }
            if (remote!.End.NextLsn >= log.FirstLsn) break;
            using var gap = GapAfter(remote);
            await ForeverAsync(token => remote.AppendAsync(gap, token));
        }
        builder!.Clear();
        cursor = log.ReadFrom(remote!.End.NextLsn, LogReach.Written, Name);
        Shipped(remote.End.LastLsn);
    }

    /// <summary>Sleeps while there is nothing to ship: the idle store.</summary>
    async ValueTask UntilSomethingIsThereAsync()
    {
        while (builder!.IsEmpty && log.WrittenLsn < cursor!.NextLsn)
        {
            var woken = CurrentWake();
            // A waiter may want what was appended, but is still in the log's buffer.
            if (waiters.First <= log.LastLsn && log.LastLsn >= cursor.NextLsn) break;
            var written = log.WhenWritten(cursor.NextLsn, stopping.Token);
            await Either.EndsAsync(written, woken);
            stopping.Token.ThrowIfCancellationRequested();
            // Poisoned or closed: throws what it says.
            if (written.IsFaulted) await written;
        }
    }

    /// <summary>Lets commits come together, unless somebody waits or there is enough.</summary>
    async ValueTask GatherAsync()
    {
        long since = context.Time.GetTimestamp();
        for (; ; )
        {
            var woken = CurrentWake();
            if (builder!.BodyBytes >= options.SegmentBytes || waiters.First is not null) return;
            var left = options.SyncInterval - context.Time.GetElapsedTime(since);
            if (left <= TimeSpan.Zero) return;
            // With a long interval, look now and then whether there is enough for a segment.
            using var slept = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
            await Either.EndsAsync(Task.Delay(left < Slice ? left : Slice, context.Time, slept.Token), woken);
            slept.Cancel();
            stopping.Token.ThrowIfCancellationRequested();
            if (left > Slice) Pull();
        }
    }

    static readonly TimeSpan Slice = TimeSpan.FromSeconds(1);

    /// <summary>Ships everything there is now, segment by segment.</summary>
    async ValueTask ShipAsync()
    {
        // What is shipped must not be lost here: the remote may never know more than this store.
        ulong until = log.LastLsn;
        log.Sync(until);
        while (cursor!.NextLsn <= until || !builder!.IsEmpty)
        {
            Pull();
            if (builder!.IsEmpty) return;
            Debug.Assert(builder.IsComplete, "the log gives whole groups");
            log.Sync(builder.LastLsn);
            unsettled = builder.Finish(log.LogId, log.Epoch, options.Author, remote!.End.Hash);
            State.Sending(unsettled);
            ulong reached;
            using (var activity = Telemetry.Activities.StartActivity("recovery.ship"))
            {
                activity?.SetTag("recovery.remote", context.Store.Location)
                    .SetTag("recovery.lsn.first", unsettled.Header.FirstLsn)
                    .SetTag("recovery.lsn", unsettled.Header.LastLsn)
                    .SetTag("recovery.bytes", unsettled.Content.LengthBytes);
                reached = await ForeverAsync(token => remote.AppendAsync(unsettled, token));
            }
            unsettled.Dispose();
            if (hold is null) await RegainAsync();
            else if (reached != unsettled.Header.LastLsn) Reread(reached);
            unsettled = null;
            Shipped(remote.End.LastLsn);
        }
    }

    /// <summary>Takes whole groups out of the log until there is enough for a segment.</summary>
    void Pull()
    {
        while ((builder!.BodyBytes < options.SegmentBytes || !builder.IsComplete) && cursor!.TryRead(out var record))
            builder.Add(record);
    }

    /// <summary>
    /// An earlier life's segment was found in the place of ours, with more or fewer of the same records: goes on after
    /// it.
    /// </summary>
    void Reread(ulong reached)
    {
        builder!.Clear();
        cursor!.Dispose();
        cursor = log.ReadFrom(reached + 1, LogReach.Written, Name);
    }

    void Shipped(ulong lsn)
    {
        Volatile.Write(ref shippedLsn, lsn);
        hold?.Move(lsn + 1);
        // What only waited for this goes now: at its bound the log would not grow, and so nobody else would come to
        // drop it.
        log.DropBefore(0);
        waiters.Reached(lsn);
        patient.Reached(lsn);
    }

    /// <summary>
    /// Does a step until it succeeds, waiting longer and longer between tries, and tells of the outage meanwhile.
    /// </summary>
    async ValueTask<T> ForeverAsync<T>(Func<CancellationToken, ValueTask<T>> step)
    {
        for (int failures = 1; ; failures++)
        {
            try
            {
                var result = await step(stopping.Token);
                State.Reached();
                return result;
            }
            // Wrong credentials, a full or missing bucket: somebody may mend that, so it is tried on as well.
            catch (ObjectStoreException e) { State.Failed(e.ToRecoveryException(), failures); }
            catch (RecoveryException e) when (e.InnerException is ObjectStoreException) { State.Failed(e, failures); }
            looked.TrySetResult();
            await RestAsync(context.Backoff.After(failures, context.Random));
        }
    }

    async ValueTask RestAsync(TimeSpan rest)
    {
        for (; rest > TimeSpan.Zero; rest -= Slice)
        {
            LetQueueGoWhenFull();
            await Task.Delay(rest < Slice ? rest : Slice, context.Time, stopping.Token);
            if (Interlocked.Exchange(ref tryAgain, 0) != 0) return;
        }
    }

    /// <summary>
    /// Does not rest any longer after a failure: somebody asks who may know that the trouble is over. Once a second at
    /// most.
    /// </summary>
    public void TryAgain() => Volatile.Write(ref tryAgain, 1);

    int tryAgain;

    void Lose(RecoveryException why)
    {
        State.Lost(why);
        waiters.Fail(why);
        patient.Fail(why);
        connected.TrySetException(why);
        _ = connected.Task.Exception;
        looked.TrySetResult();
        if (why.Error == RecoveryError.Fenced) Salvage();
    }

    /// <summary>
    /// Keeps what was not shipped where a person can get at it. What cannot be written is still in the log.
    /// </summary>
    void Salvage()
    {
        if (options.SalvageDirectory is null || options.Disk is null || log.LastLsn <= salvagedLsn) return;
        ulong from = Math.Max(ShippedLsn + 1, log.FirstLsn);
        try
        {
            if (log.LastLsn < from) return;
            log.Sync(log.LastLsn);
            SalvagedLog.Save(options.Disk, options.SalvageDirectory, log, from);
            salvagedLsn = log.LastLsn;
            State.Salvaged(from, salvagedLsn);
        }
        catch (RecoveryException e) { State.SalvageFailed(e); }
    }

    void Wake()
    {
        TaskCompletionSource current;
        lock (wakeGate) (current, wake) = (wake, NewWake());
        current.TrySetResult();
    }

    Task CurrentWake()
    {
        lock (wakeGate) return wake.Task;
    }

    static TaskCompletionSource NewWake() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
