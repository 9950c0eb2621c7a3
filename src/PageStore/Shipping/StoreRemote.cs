using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>
/// A store's tie to its remote: ships the log, publishes hints when enough log has gathered since the last, collects
/// what nothing needs any more, and proves now and then that all of it can be restored.
/// </summary>
internal sealed class StoreRemote : IAsyncDisposable
{
    static readonly TimeSpan PatienceLook = TimeSpan.FromMilliseconds(250);

    /// <summary>For how long a waiter tolerates an outage, unless it says otherwise.</summary>
    internal static readonly TimeSpan OutagePatience = TimeSpan.FromSeconds(30);

    /// <summary>Two requests and their answers, from far away.</summary>
    static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(2);

    readonly RemoteOptions options;
    readonly RemoteContext context;
    readonly Shipper shipper;
    readonly StoreHints hints;
    readonly StoreProofs proofs;
    readonly RemoteMetrics metrics;
    readonly CancellationTokenSource stopping = new();
    Task publishing = Task.CompletedTask, verifying = Task.CompletedTask;
    bool wasAsked;

    internal StoreRemote(IShippedStore store, RemoteOptions options, StoreOptions storeOptions)
    {
        this.options = options;
        var home = storeOptions.Home;
        home.BeginToShip();
        // Before it is reached: whoever looks at the directory must see that it was to ship.
        home.ConfigureRemote(options.Url);
        context = RemoteContext.Of(options.OpenStore(storeOptions.Time), storeOptions.Time, home.Path);
        shipper = new Shipper(context, store.Log, new ShipperOptions
        {
            Author = home.AuthorOrNew(),
            SyncInterval = options.SyncInterval,
            MayCreate = options.MayCreateAgain || !home.RemoteUrls.Contains(options.Url),
            MayRestart = options.MayRestart,
            // The rest is room for the commits until the log was dropped.
            QueueBytesMax = storeOptions.MaxLocalLogBytes / 4 * 3,
            QueueLetGo = store.CheckpointSoon,
            Restarting = () => home.IsRestarting = true,
            Connected = () => home.AddRemote(options.Url),
            Salvage = new SalvagePlace(LocalDisk.Instance, home.Salvage),
            Holds = store.Holds,
        });
        hints = new StoreHints(store, home, options, context, shipper, stopping.Token);
        proofs = new StoreProofs(store, home, options, context, shipper, hints, stopping.Token);
        metrics = new RemoteMetrics(State, home.Path, context.Time);
        if (storeOptions.Alarm is { } alarm) State.Troubled += alarm;
        if (RemoteVerification.Load(home.Path) is { } known && known.Remote == options.Url)
            State.RecallVerification(known);
    }

    /// <summary>Where the log goes.</summary>
    public string Url => options.Url;

    /// <summary>What operators watch.</summary>
    internal RemoteState State => shipper.State;

    internal Shipper Shipper => shipper;

    internal HintsPublisher Publisher => hints.Publisher;

    internal void Start()
    {
        shipper.Start();
        publishing = Task.Run(hints.RunAsync);
        if (options.VerifyInterval > TimeSpan.Zero) verifying = Task.Run(proofs.RunAsync);
    }

    /// <summary>
    /// Blocks until everything up to an LSN can be restored from the remote; asks for a request at once.
    /// </summary>
    public void WaitRestorable(ulong lsn)
    {
        shipper.WaitShipped(lsn);
        if (State.NeedsHints) hints.UntilRestorableAsync(stopping.Token).GetAwaiter().GetResult();
    }

    /// <summary>
    /// Completes when everything up to an LSN can be restored from the remote; lets the interval's own request bring
    /// it, when that is soon, and asks for one at once otherwise.
    /// </summary>
    public async Task WhenRestorableAsync(ulong lsn, CancellationToken cancellation = default)
    {
        await shipper.SoonShippedAsync(lsn, cancellation);
        if (State.NeedsHints) await hints.UntilRestorableAsync(cancellation);
    }

    /// <summary>
    /// Blocks until everything up to an LSN can be restored, as <see cref="WhenRestorableAsync"/>; but not
    /// through an outage that lasts longer than <paramref name="patience"/>, and not when the remote says no, which
    /// only somebody's hand can change: it is asked once more before that is believed. Shipping goes on all the same.
    /// </summary>
    public void SyncTo(ulong lsn, TimeSpan patience)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        var restorable = WhenRestorableAsync(lsn, limit.Token);
        var (began, known) = (context.Time.GetTimestamp(), State.Failures);
        shipper.TryAgain();
        while (Task.WaitAny([restorable], PatienceLook) < 0)
        {
            if (State.Hindrance is not { } hindrance
                || (State.Failures == known && context.Time.GetElapsedTime(began) < patience))
                continue;
            var refused = State.Phase == ShipperPhase.Outage
                && hindrance.Why.InnerException is ObjectStoreException { IsTransient: false };
            if (!refused && context.Time.GetUtcNow() - hindrance.Since < patience) continue;
            limit.Cancel();
            throw NotRestorable(lsn, hindrance.Why);
        }
        restorable.GetAwaiter().GetResult();
    }

    RecoveryException NotRestorable(ulong lsn, RecoveryException why)
    {
        var (has, then) = State.ShippedLsn >= lsn
            ? ($"{Url} has everything up to LSN {lsn}, but it cannot be restored yet", "Hints are tried again")
            : ($"{Url} has everything up to LSN {State.ShippedLsn} of {lsn}",
                "What is left stays in the local log, and is shipped once that is mended");
        return new RecoveryException(RecoveryError.Remote,
            $"{has}: {why.Message.TrimEnd('.')}. {then} (PRAGMA recovery_status).", why)
        {
            Path = why.Path ?? Url,
            Lsn = lsn,
            Hint = why.Hint,
            IsTransient = why.IsTransient,
        };
    }

    /// <inheritdoc cref="StoreHints.PublishAsync(CancellationToken)"/>
    public Task PublishHintsAsync(CancellationToken cancellation = default) => hints.PublishAsync(cancellation);

    /// <inheritdoc cref="StoreHints.CollectAsync"/>
    internal Task<CollectionPlan> CollectAsync(Retention? retention = null, CancellationToken cancellation = default)
        => hints.CollectAsync(retention, cancellation);

    /// <inheritdoc cref="StoreProofs.ProveAsync"/>
    internal Task<RemoteVerification> VerifyAsync(CancellationToken cancellation = default)
        => proofs.ProveAsync(cancellation);

    /// <summary>Names and values for status reports.</summary>
    internal IEnumerable<(string Name, object Value)> Status() => new RemoteReport(State, Url, context.Time).Rows();

    /// <summary>Throws when this writer has lost the log for good.</summary>
    internal void ThrowIfLost() => shipper.ThrowIfLost();

    /// <summary>
    /// The same, for who is about to write: the first one waits until the remote has said whose it is. A remote that is
    /// away, or does not answer for
    /// <see cref="AnswerPatience"/>, holds nobody up any more: commits gather in the local log then.
    /// </summary>
    internal void ThrowIfNotOurs()
    {
        if (!Volatile.Read(ref wasAsked))
        {
            // By the clock on the wall: it is somebody's thread that waits.
            shipper.Looked.Wait(AnswerPatience);
            Volatile.Write(ref wasAsked, true);
        }
        shipper.ThrowIfLost();
    }

    /// <summary>Ships what is left, for a while, and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        stopping.Cancel();
        await publishing;
        await verifying;
        await shipper.DisposeAsync();
        metrics.Dispose();
        await context.Store.DisposeAsync();
        stopping.Dispose();
        hints.Dispose();
        proofs.Dispose();
    }

    /// <summary>
    /// Before the store closes: waits until the remote has everything, but not for a remote that cannot be reached.
    /// </summary>
    internal void ShipRest(ulong lsn, TimeSpan patience)
    {
        try
        {
            if (State.Phase is ShipperPhase.Fenced or ShipperPhase.Failed or ShipperPhase.Outage) return;
            using var limit = new CancellationTokenSource(patience, context.Time);
            if (State.ShippedLsn < lsn) shipper.WaitShipped(lsn, limit.Token);
            // A store that lived too briefly for its first hints: without any, nothing could be restored.
            if (State.NeedsHints && State.ShippedLsn > 0)
                hints.UntilRestorableAsync(limit.Token).GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is RecoveryException or OperationCanceledException)
        {
            // It stays in the local log; the next opening ships it.
        }
    }
}
