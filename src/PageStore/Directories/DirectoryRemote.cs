using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// A RocksDB directory's tie to its remote. The log ships as any store's does; tables and blob files follow it as they
/// are sealed. Up to a point at which the remote has the log, and every file that lives at it, all can be restored.
/// </summary>
internal sealed class DirectoryRemote : IAsyncDisposable
{
    static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A file that goes while it is being shipped makes a point begin anew, with those that live then.
    /// </summary>
    const int PointTriesMax = 20;

    readonly RecordedDirectory directory;
    readonly IShippedStore shipped;
    readonly StoreRemote remote;
    readonly RemoteOptions options;
    readonly TimeProvider time;
    readonly CancellationTokenSource stopping = new();
    readonly SemaphoreSlim onePoint = new(1), sealedSome = new(0);
    Task following = Task.CompletedTask;
    ulong restorable;

    public DirectoryRemote(RecordedDirectory directory, IShippedStore shipped, RemoteOptions options,
        StoreOptions store)
    {
        (this.directory, this.shipped, this.options, time) = (directory, shipped, options, store.Time);
        remote = new StoreRemote(shipped, options, store);
    }

    /// <summary>What operators watch.</summary>
    public RemoteState State => remote.State;

    /// <summary>The newest LSN that the remote is known to have.</summary>
    public ulong ShippedLsn => remote.State.ShippedLsn;

    /// <summary>The log's way, hints and collection.</summary>
    public StoreRemote Log => remote;

    public void Start()
    {
        remote.Start();
        following = Task.Run(FollowAsync);
    }

    /// <summary>Throws when this writer has lost the log for good.</summary>
    public void ThrowIfLost() => remote.ThrowIfLost();

    /// <summary>
    /// The same for whoever is about to acknowledge something; the first one waits for the remote's answer.
    /// </summary>
    public void ThrowIfNotOurs() => remote.ThrowIfNotOurs();

    /// <summary>A table or blob file was sealed.</summary>
    public void Sealed()
    {
        if (sealedSome.CurrentCount == 0) sealedSome.Release();
    }

    /// <summary>Blocks until everything up to an LSN can be restored; asks for the requests at once.</summary>
    public void WaitRestorable(ulong lsn)
    {
        remote.WaitRestorable(lsn);
        if (IsRestorable(lsn)) return;
        MakePointAsync(stopping.Token).GetAwaiter().GetResult();
    }

    /// <summary>
    /// Completes when everything up to an LSN can be restored, but not through an outage that lasts longer than
    /// <paramref name="patience"/>.
    /// </summary>
    public async Task WhenRestorableAsync(ulong lsn, TimeSpan patience, CancellationToken cancellation)
    {
        await Task.Run(() => remote.SyncTo(lsn, patience), cancellation);
        if (!IsRestorable(lsn)) await MakePointAsync(cancellation);
    }

    /// <summary>Whether a point at or after it was reached, or nothing but the log was missing.</summary>
    bool IsRestorable(ulong lsn) => Volatile.Read(ref restorable) >= lsn
        || (remote.State.ShippedLsn >= lsn && !Missing(directory.Live.Files).Any());

    IEnumerable<LiveFile> Missing(IEnumerable<LiveFile> files) =>
        files.Where(f => f.IsSealed && f.Class != FileClass.RocksLog && !remote.Publisher.IsShipped(f));

    /// <summary>
    /// Ships what lives now and the log up to now, while nothing is deleted: the state at that LSN can be restored
    /// then.
    /// Returns it, and the files that live at it.
    /// </summary>
    public async Task<(IReadOnlyList<LiveFile> Files, ulong Lsn)> MakePointAsync(CancellationToken cancellation)
    {
        await onePoint.WaitAsync(cancellation);
        try
        {
            for (var tries = 1; ; tries++)
            {
                using var hold = shipped.HoldFiles();
                directory.WriteOut();
                var now = directory.Live.Snapshot(directory.Log.LogId, directory.Log.Epoch, lsn => lsn + 1);
                try
                {
                    await remote.Publisher.ShipAheadAsync(now.Files, shipped.OpenSealed, cancellation);
                }
                catch (Exception e) when (tries < PointTriesMax && IsGone(e))
                {
                    // Its deletion was under way when the hold began.
                    continue;
                }
                await remote.Shipper.WaitShippedAsync(now.Lsn, cancellation);
                if (now.Lsn > restorable) Volatile.Write(ref restorable, now.Lsn);
                return (now.Files, now.Lsn);
            }
        }
        finally
        {
            onePoint.Release();
        }
    }

    static bool IsGone(Exception e) => e is FileNotFoundException
        || e is RecoveryException { Error: RecoveryError.NotFound }
        || (e is AggregateException all && all.InnerExceptions.All(IsGone));

    /// <summary>Files follow the log as they are sealed, so that what can be restored does not fall behind.</summary>
    async Task FollowAsync()
    {
        var stop = stopping.Token;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await sealedSome.WaitAsync(stop);
                await Task.Delay(options.SyncInterval, time, stop);
                await MakePointAsync(stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception e) when (remote.State.Final is null && !stop.IsCancellationRequested)
            {
                remote.State.NoteHints(e as RecoveryException ?? new RecoveryException(RecoveryError.Remote,
                    $"Tables could not be shipped: {e.Message} It is tried again.", e)
                { IsTransient = true });
                Sealed();
                await Either(Task.Delay(RetryInterval, time, stop));
            }
            catch (RecoveryException)
            {
                // The shipper's state says why.
                return;
            }
        }
    }

    static async Task Either(Task delay)
    {
        try
        {
            await delay;
        }
        catch (OperationCanceledException)
        {
            // It closes.
        }
    }

    /// <summary>Before it closes: ships what is left, but not to a remote that cannot be reached.</summary>
    public async Task ShipRestAsync(ulong lsn, TimeSpan patience)
    {
        remote.ShipRest(lsn, patience);
        if (State.ShippedLsn < lsn || State.Phase != ShipperPhase.Shipping && State.Final is not null) return;
        using var limit = new CancellationTokenSource(patience, time);
        try
        {
            if (!IsRestorable(lsn)) await MakePointAsync(limit.Token);
        }
        catch (Exception e) when (e is RecoveryException or OperationCanceledException)
        {
            // It is here, and the next opening ships it.
        }
    }

    public async ValueTask DisposeAsync()
    {
        stopping.Cancel();
        await following;
        await remote.DisposeAsync();
        stopping.Dispose();
        onePoint.Dispose();
        sealedSome.Dispose();
    }
}
