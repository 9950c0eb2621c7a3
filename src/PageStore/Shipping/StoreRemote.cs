using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>
/// A store's tie to its remote: ships the log, publishes hints when enough log has gathered since the last, collects
/// what nothing needs any more, and proves now and then that all of it can be restored.
/// </summary>
internal sealed partial class StoreRemote : IAsyncDisposable
{
    static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    static readonly TimeSpan PatienceLook = TimeSpan.FromMilliseconds(250);

    /// <summary>For how long a waiter tolerates an outage, unless it says otherwise.</summary>
    internal static readonly TimeSpan OutagePatience = TimeSpan.FromSeconds(30);

    static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(10);

    readonly IShippedStore store;
    readonly RemoteOptions options;
    readonly RemoteContext context;
    readonly StoreHome home;
    readonly Shipper shipper;
    readonly HintsPublisher publisher;
    readonly Collector collector;
    readonly RemoteMetrics metrics;
    readonly CancellationTokenSource stopping = new();
    readonly SemaphoreSlim oneAtATime = new(1);
    Task publishing = Task.CompletedTask, verifying = Task.CompletedTask;

    internal StoreRemote(IShippedStore store, RemoteOptions options, StoreOptions storeOptions)
    {
        this.store = store;
        this.options = options;
        home = storeOptions.Home;
        home.BeginToShip();
        // Before it is reached: whoever looks at the directory must see that it was to ship.
        home.ConfigureRemote(options.Url);
        context = new RemoteContext
        {
            Store = options.OpenStore(storeOptions.Time),
            Time = storeOptions.Time,
            OpenSpool = RemoteContext.SpoolsIn(home.Path)
        };
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
            SalvageDirectory = home.Salvage,
            Disk = LocalDisk.Instance,
        });
        publisher = new HintsPublisher(context, shipper);
        collector = new Collector(context, shipper, publisher);
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

    internal void Start()
    {
        shipper.Start();
        publishing = Task.Run(PublishAsync);
        if (options.VerifyInterval > TimeSpan.Zero) verifying = Task.Run(VerifyAlwaysAsync);
    }

    /// <summary>
    /// Blocks until everything up to an LSN can be restored from the remote; asks for a request at once.
    /// </summary>
    public void WaitShipped(ulong lsn)
    {
        shipper.WaitShipped(lsn);
        if (State.NeedsHints) UntilRestorableAsync(stopping.Token).GetAwaiter().GetResult();
    }

    /// <summary>
    /// Completes when everything up to an LSN can be restored from the remote; lets the interval's own request bring
    /// it.
    /// </summary>
    public async Task WhenShippedAsync(ulong lsn, CancellationToken cancellation = default)
    {
        await shipper.WhenShippedAsync(lsn, cancellation);
        if (State.NeedsHints) await UntilRestorableAsync(cancellation);
    }

    /// <summary>
    /// Blocks until everything up to an LSN can be restored, letting the interval's own request bring it; but not
    /// through an outage that lasts longer than <paramref name="patience"/>, and not when the remote says no, which
    /// only somebody's hand can change: it is asked once more before that is believed. Shipping goes on all the same.
    /// </summary>
    public void WaitRestorable(ulong lsn, TimeSpan patience)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        var shipped = WhenShippedAsync(lsn, limit.Token);
        var (began, known) = (context.Time.GetTimestamp(), State.Failures);
        shipper.TryAgain();
        while (Task.WaitAny([shipped], PatienceLook) < 0)
        {
            if (State.Hindrance is not { } hindrance
                || (State.Failures == known && context.Time.GetElapsedTime(began) < patience))
                continue;
            var refused = State.Phase == ShipperPhase.Outage
                && hindrance.Why.InnerException is ObjectStoreException { IsTransient: false };
            if (!refused && context.Time.GetUtcNow() - hindrance.Since < patience) continue;
            limit.Cancel();
            var (has, then) = State.ShippedLsn >= lsn
                ? ($"{Url} has everything up to LSN {lsn}, but it cannot be restored yet", "Hints are tried again")
                : ($"{Url} has everything up to LSN {State.ShippedLsn} of {lsn}",
                "What is left stays in the local log, and is shipped once that is mended");
            throw new RecoveryException(RecoveryError.Remote,
                $"{has}: {hindrance.Why.Message.TrimEnd('.')}. {then} (PRAGMA recovery_status).", hindrance.Why)
            {
                Path = hindrance.Why.Path ?? Url,
                Lsn = lsn,
                Hint = hindrance.Why.Hint,
                IsTransient = hindrance.Why.IsTransient,
            };
        }
        shipped.GetAwaiter().GetResult();
    }

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

    /// <summary>Two requests and their answers, from far away.</summary>
    static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(2);

    bool wasAsked;

    async Task PublishAsync()
    {
        var stop = stopping.Token;
        try
        {
            await RecallAsync(stop);
            while (true)
            {
                if (await PublishWhenDueAsync(stop)) await shipper.WhenShippedAsync(State.ShippedLsn + 1, stop);
                else await Task.Delay(RetryInterval, context.Time, stop);
                await Task.Delay(LookInterval, context.Time, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The store closes.
        }
        catch (RecoveryException) when (State.Final is not null || stop.IsCancellationRequested)
        {
            // The shipper's state says why, to whoever asks and to every writer.
        }
    }

    /// <summary>Looks which hints there are, once the remote was reached; tries on until that is known.</summary>
    async Task RecallAsync(CancellationToken stop)
    {
        await shipper.ConnectedAsync(stop);
        // What was shipped before the process died says nothing of the hints that were to follow.
        if (home.IsRestarting) State.NeedsHints = true;
        for (; ; )
        {
            try
            {
                await publisher.RecallAsync(stop);
                return;
            }
            catch (RecoveryException e) when (State.Final is null)
            {
                State.NoteHints(e);
                await Task.Delay(RetryInterval, context.Time, stop);
            }
        }
    }

    /// <summary>
    /// Publishes hints if it is time, and collects; false when that failed and should be tried again.
    /// </summary>
    async Task<bool> PublishWhenDueAsync(CancellationToken stop)
    {
        // Without hints nothing can be restored; a remote with nothing in it needs none.
        var first = State.NeedsHints && State.ShippedLsn > 0;
        if (!first && State.BytesSinceHints <= options.HintsBytes && State.HintsError is null) return true;
        try
        {
            await PublishHintsAsync(stop);
            if (options.Retention is { } retention) await CollectAsync(retention, stop);
            State.NoteHints(null);
            return true;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Whatever it is, it is told, and tried again: hints that stay away must not go unnoticed.
            shipper.ThrowIfLost();
            State.NoteHints(AsRecovery(e));
            return false;
        }
    }

    static RecoveryException AsRecovery(Exception e) =>
        e as RecoveryException ?? new RecoveryException(RecoveryError.Remote,
            $"Hints could not be published: {e.Message} It is tried again.", e)
        { IsTransient = true };

    /// <summary>
    /// Brings all pages into files, ships those that the remote lacks, and publishes hints: a restore then starts from
    /// now.
    /// </summary>
    public Task PublishHintsAsync(CancellationToken cancellation = default)
        => PublishHintsAsync(onlyIfNeeded: false, cancellation);

    async Task PublishHintsAsync(bool onlyIfNeeded, CancellationToken cancellation)
    {
        await oneAtATime.WaitAsync(cancellation);
        try
        {
            if (onlyIfNeeded && !State.NeedsHints) return;
            // Files are held only when the remote can be reached: an outage of hours must not keep every file that
            // RocksDB is done with.
            await shipper.WaitShippedAsync(store.Log.LastLsn, cancellation);
            using var held = store.HoldFiles();
            var (hints, timeMs) = store.SnapshotForRemote();
            await publisher.PublishAsync(hints, timeMs, OpenPagesFile, cancellation);
            if (home.IsRestarting) home.IsRestarting = false;
        }
        finally
        {
            oneAtATime.Release();
        }
    }

    /// <summary>
    /// What was shipped can be restored only when there are hints to start from: whoever waits for it sees to that.
    /// </summary>
    async Task UntilRestorableAsync(CancellationToken cancellation)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, stopping.Token);
        await publisher.RecallAsync(both.Token);
        while (State.NeedsHints)
        {
            try
            {
                await PublishHintsAsync(onlyIfNeeded: true, both.Token);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                shipper.ThrowIfLost();
                State.NoteHints(AsRecovery(e));
                await Task.Delay(LookInterval, context.Time, both.Token);
            }
        }
    }

    /// <summary>
    /// Only what RocksDB made is shipped: a name that leads elsewhere, or a link, would publish somebody's file.
    /// </summary>
    FileStream OpenPagesFile(LiveFile file)
    {
        TrackedName.Check(file.Class, file.Name, $"The store {home.Path}");
        return RegularFile.OpenRead(Path.Combine(home.Pages, file.Name));
    }

    /// <summary>
    /// Deletes from the remote what nothing needs any more, by the retention given or the store's own; says what and
    /// why.
    /// </summary>
    internal Task<CollectionPlan> CollectAsync(Retention? retention = null, CancellationToken cancellation = default) =>
        collector.CollectAsync(retention ?? options.Retention
            ?? throw new InvalidOperationException("This store was opened without a retention to collect by."),
            cancellation);

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
        oneAtATime.Dispose();
        oneVerification.Dispose();
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
            if (State.NeedsHints && State.ShippedLsn > 0) UntilRestorableAsync(limit.Token).GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is RecoveryException or OperationCanceledException)
        {
            // It stays in the local log; the next opening ships it.
        }
    }
}
