using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>
/// Makes what a store ships restorable, and keeps it so: publishes hints when enough log has gathered since the last,
/// or when somebody cannot wait, and collects what nothing needs any more.
/// </summary>
internal sealed class StoreHints : IDisposable
{
    static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(10);

    readonly HintsPublisher publisher;
    readonly Collector collector;
    readonly SemaphoreSlim oneAtATime = new(1);
    readonly IShippedStore store;
    readonly StoreHome home;
    readonly RemoteOptions options;
    readonly RemoteContext context;
    readonly Shipper shipper;
    readonly CancellationToken stopping;

    public StoreHints(IShippedStore store, StoreHome home, RemoteOptions options, RemoteContext context,
        Shipper shipper, CancellationToken stopping)
    {
        (this.store, this.home, this.options) = (store, home, options);
        (this.context, this.shipper, this.stopping) = (context, shipper, stopping);
        publisher = new HintsPublisher(context, shipper, store.CameFrom(options.Url));
        collector = new Collector(context, shipper, publisher);
    }

    RemoteState State => shipper.State;

    /// <summary>Where sealed files go, with hints or before them.</summary>
    public HintsPublisher Publisher => publisher;

    /// <summary>Publishes and collects whenever it is time, until it is stopped or the log is lost.</summary>
    public async Task RunAsync()
    {
        try
        {
            await RecallAsync();
            while (true)
            {
                if (await PublishWhenDueAsync()) await MoreAsync();
                else await Task.Delay(RetryInterval, context.Time, stopping);
                await Task.Delay(LookInterval, context.Time, stopping);
            }
        }
        catch (OperationCanceledException)
        {
            // The store closes.
        }
        catch (RecoveryException) when (State.Final is not null || stopping.IsCancellationRequested)
        {
            // The shipper's state says why, to whoever asks and to every writer.
        }
    }

    /// <summary>Looks which hints there are, once the remote was reached; tries on until that is known.</summary>
    async Task RecallAsync()
    {
        await shipper.ConnectedAsync(stopping);
        // What was shipped before the process died says nothing of the hints that were to follow.
        if (home.IsRestarting) State.NeedsHints = true;
        for (; ; )
        {
            try
            {
                await publisher.RecallAsync(stopping);
                return;
            }
            catch (RecoveryException e) when (State.Final is null)
            {
                State.NoteHints(e);
                await Task.Delay(RetryInterval, context.Time, stopping);
            }
        }
    }

    /// <summary>Waits until more was shipped, or hints are due by their age.</summary>
    async Task MoreAsync()
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        var shipped = shipper.WhenShippedAsync(State.ShippedLsn + 1, enough.Token);
        if (UntilDue() is not { } left)
        {
            await shipped;
            return;
        }
        if (left > TimeSpan.Zero) await Task.WhenAny(shipped, Task.Delay(left, context.Time, enough.Token));
        var isShipped = shipped.IsCompleted;
        enough.Cancel();
        if (isShipped) await shipped;
        else stopping.ThrowIfCancellationRequested();
    }

    /// <summary>
    /// How long until hints are due by the age of the last; null when nothing was committed since, or they have no age.
    /// What making hints writes into the log is no reason for others.
    /// </summary>
    TimeSpan? UntilDue() =>
        options.HintsInterval > TimeSpan.Zero && State.Hints is { } last && store.LastChangeLsn > last.Lsn
            ? last.At + options.HintsInterval - context.Time.GetUtcNow()
            : null;

    /// <summary>
    /// Publishes hints if it is time, and collects; false when that failed and should be tried again.
    /// </summary>
    async Task<bool> PublishWhenDueAsync()
    {
        // Without hints nothing can be restored; a remote with nothing in it needs none.
        var first = State.NeedsHints && State.ShippedLsn > 0;
        if (!first && State.BytesSinceHints <= options.HintsBytes && State.HintsError is null
            && UntilDue() is not { Ticks: <= 0 })
            return true;
        try
        {
            await PublishAsync(stopping);
            if (options.Retention is { } retention) await collector.CollectAsync(retention, stopping);
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
    public Task PublishAsync(CancellationToken cancellation = default)
        => PublishAsync(onlyIfNeeded: false, cancellation);

    async Task PublishAsync(bool onlyIfNeeded, CancellationToken cancellation)
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
            await publisher.PublishAsync(hints, timeMs, store.OpenSealed, cancellation);
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
    public async Task UntilRestorableAsync(CancellationToken cancellation)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, stopping);
        await publisher.RecallAsync(both.Token);
        while (State.NeedsHints)
        {
            try
            {
                await PublishAsync(onlyIfNeeded: true, both.Token);
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
    /// Deletes from the remote what nothing needs any more, by the retention given or the store's own; says what and
    /// why.
    /// </summary>
    public Task<CollectionPlan> CollectAsync(Retention? retention = null, CancellationToken cancellation = default) =>
        collector.CollectAsync(retention ?? options.Retention
            ?? throw new InvalidOperationException("This store was opened without a retention to collect by."),
            cancellation);

    public void Dispose() => oneAtATime.Dispose();
}
