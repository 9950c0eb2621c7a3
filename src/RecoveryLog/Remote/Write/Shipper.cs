using RecoveryVfs.RecoveryLog.Log;
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
internal sealed partial class Shipper : IAsyncDisposable
{
    /// <summary>Who waits for the interval's own request waits no longer than this.</summary>
    static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    static readonly TimeSpan Slice = TimeSpan.FromSeconds(1);

    readonly RemoteContext context;
    readonly ShipperOptions options;
    readonly LocalLog log;
    readonly ShipQueue queue;
    readonly ShipperWaits waits = new();
    readonly ShipConnection connection;
    readonly CancellationTokenSource stopping = new();
    ulong salvagedLsn;
    int tryAgain;
    Task loop = Task.CompletedTask;

    /// <summary>Holds the local log from its oldest record on; ships nothing before <see cref="Start"/>.</summary>
    public Shipper(RemoteContext context, LocalLog log, ShipperOptions options)
    {
        (this.context, this.log, this.options) = (context, log, options);
        queue = new ShipQueue(log, options.SegmentBytes, context.OpenSpool);
        State = new RemoteState(context, log, () => ShippedLsn);
        connection = new ShipConnection(context, options, log, queue, waits, State);
    }

    /// <summary>What to tell operators.</summary>
    public RemoteState State { get; }

    /// <summary>The newest LSN that the remote is known to have; 0 before it was reached.</summary>
    public ulong ShippedLsn => waits.ShippedLsn;

    /// <inheritdoc cref="ShipConnection.GapLsn"/>
    internal ulong GapLsn => connection.GapLsn;

    /// <summary>Begins to ship.</summary>
    public void Start() => loop = options.Start(RunAsync);

    /// <summary>The remote's log, once it was reached. Fails when it never can be.</summary>
    public Task<RemoteLog> ConnectedAsync(CancellationToken cancellation = default)
        => waits.Connected.WaitAsync(cancellation);

    /// <summary>
    /// Completes, and never fails, when it was asked whose the remote is: it answered, or the first try found it away.
    /// What it answered is in <see cref="State"/>.
    /// </summary>
    public Task Looked => waits.Looked;

    /// <summary>
    /// Completes when the remote has everything up to an LSN. Ships at once: all who wait share a PUT, and those who
    /// come while one is under way share the next. Fails with Fenced, or with what else keeps anything from being
    /// shipped; during an outage it waits.
    /// </summary>
    public Task WaitShippedAsync(ulong lsn, CancellationToken cancellation = default) => waits.Wait(lsn, cancellation);

    /// <summary>The same for a thread that has nothing better to do.</summary>
    public void WaitShipped(ulong lsn, CancellationToken cancellation = default)
        => WaitShippedAsync(lsn, cancellation).GetAwaiter().GetResult();

    /// <summary>
    /// Completes when the remote has everything up to an LSN, without asking for a request: with the segment that the
    /// interval sends anyway.
    /// </summary>
    public Task WhenShippedAsync(ulong lsn, CancellationToken cancellation = default) => waits.When(lsn, cancellation);

    /// <summary>
    /// Completes when the remote has everything up to an LSN: with the segment that the interval sends anyway, or,
    /// where that may be long in coming, with one that is asked for.
    /// </summary>
    public Task SoonShippedAsync(ulong lsn, CancellationToken cancellation = default) =>
        options.SyncInterval <= Soon ? WhenShippedAsync(lsn, cancellation) : WaitShippedAsync(lsn, cancellation);

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
        await loop;
        if (State.Final is { Error: RecoveryError.Fenced }) Salvage();
        waits.Fail(new RecoveryException(RecoveryError.Remote,
            "The store was closed before the remote had everything.",
            "Open it again to ship the rest")
        { Path = context.Store.Location });
        queue.Dispose();
        stopping.Dispose();
        State.Stopped();
    }

    async Task RunAsync()
    {
        try
        {
            var remote = await ForeverAsync(connection.OpenAsync);
            Shipped(remote.End.LastLsn);
            if (queue.IsHeld) queue.GoOnAt(remote.End.NextLsn);
            else await RegainAsync(remote);
            waits.HasConnected(remote);
            for (; ; )
            {
                await UntilSomethingIsThereAsync();
                await GatherAsync();
                await ShipAsync(remote);
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

    /// <summary>Sleeps while there is nothing to ship: the idle store.</summary>
    async ValueTask UntilSomethingIsThereAsync()
    {
        while (queue.IsEmpty && log.WrittenLsn < queue.NextLsn)
        {
            var woken = waits.NextWake;
            // A waiter may want what was appended, but is still in the log's buffer.
            if (waits.First <= log.LastLsn && log.LastLsn >= queue.NextLsn) break;
            var written = log.WhenWritten(queue.NextLsn, stopping.Token);
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
            var woken = waits.NextWake;
            if (queue.HasEnough || waits.First is not null) return;
            var left = options.SyncInterval - context.Time.GetElapsedTime(since);
            if (left <= TimeSpan.Zero) return;
            // With a long interval, look now and then whether there is enough for a segment.
            using var slept = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
            await Either.EndsAsync(Task.Delay(left < Slice ? left : Slice, context.Time, slept.Token), woken);
            slept.Cancel();
            stopping.Token.ThrowIfCancellationRequested();
            if (left > Slice) queue.Pull();
        }
    }

    /// <summary>Ships everything there is now, segment by segment.</summary>
    async ValueTask ShipAsync(RemoteLog remote)
    {
        // What is shipped must not be lost here: the remote may never know more than this store.
        ulong until = log.LastLsn;
        log.Sync(until);
        while (queue.NextLsn <= until || !queue.IsEmpty)
        {
            queue.Pull();
            if (queue.IsEmpty) return;
            ulong last, reached;
            using (var segment = queue.Pack(options.Author, remote.End.Hash))
                (last, reached) = (segment.Header.LastLsn, await SendAsync(remote, segment));
            if (!queue.IsHeld) await RegainAsync(remote);
            // An earlier life's segment was found in the place of ours, with more or fewer of the same records.
            else if (reached != last) queue.GoOnAt(reached + 1);
            Shipped(remote.End.LastLsn);
        }
    }

    async ValueTask<ulong> SendAsync(RemoteLog remote, PackedSegment segment)
    {
        State.Sending(segment);
        using var activity = Telemetry.Activities.StartActivity("recovery.ship");
        activity?.SetTag("recovery.remote", context.Store.Location)
            .SetTag("recovery.lsn.first", segment.Header.FirstLsn)
            .SetTag("recovery.lsn", segment.Header.LastLsn)
            .SetTag("recovery.bytes", segment.Content.LengthBytes);
        return await ForeverAsync(token => remote.AppendAsync(segment, token));
    }

    void Shipped(ulong lsn)
    {
        waits.Note(lsn);
        queue.Shipped(lsn);
        waits.Reached();
    }
}
