using System.Diagnostics;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Operations;

/// <summary>
/// Ships what a closed store has not shipped yet; waits for this process, or for the one that has an open store, to do
/// so.
/// </summary>
internal static class StoreSync
{
    /// <summary>The store's directory and its remote are all that tells of what another process ships.</summary>
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>Returns when a restore can deliver, or would after the next hints, what the store has now.</summary>
    public static async Task<SyncResult> RunAsync(StoreDirectory directory, SyncOptions how,
        CancellationToken cancellation)
    {
        if (StoreRegistry.IsOpen(directory.Path)) return await OfThisProcessAsync(directory, how, cancellation);
        if (how.Remote is null && RemoteAccess.Default is null)
            await UntilRemoteIsKnownAsync(directory, how.Patience, cancellation);
        var url = directory.ChooseRemote(how.Remote);
        return await WaitForHolderAsync(directory, url, how, cancellation)
            ?? await ShipAsync(directory, url, how, cancellation);
    }

    static async Task<SyncResult> OfThisProcessAsync(StoreDirectory directory, SyncOptions how,
        CancellationToken cancellation)
    {
        var open = StoreRegistry.Acquire(directory.Path, StoreSettings.Of(directory.Path));
        try
        {
            var url = open.Store.RemoteOrThrow().Url;
            if (how.NewRemote || how.Restart || (how.Remote is { } wanted && wanted != url))
                throw new RecoveryException(RecoveryError.Busy,
                    $"The store {directory.Path} is open in this process, and ships to {url}.",
                    "Close its connections first, or open it with that remote.")
                { Path = directory.Path };
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(how.Patience);
            return await WaitAsync(open.Store, directory.Path, url, limit.Token, cancellation);
        }
        finally
        {
            StoreRegistry.Release(open);
        }
    }

    /// <summary>
    /// A store that was opened just now says where it ships to once it got there; until then, only that it ships.
    /// </summary>
    static async Task UntilRemoteIsKnownAsync(StoreDirectory directory, TimeSpan patience,
        CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        while (directory.RemoteUrl is null && directory.Author is not null && directory.Holder() is not null
            && Stopwatch.GetElapsedTime(started) < patience)
            await Task.Delay(LookInterval, cancellation);
    }

    /// <summary>Waits for the process that has the store open; null when there is none, or none any more.</summary>
    static async Task<SyncResult?> WaitForHolderAsync(StoreDirectory directory, string url, SyncOptions how,
        CancellationToken cancellation)
    {
        if (directory.Holder() is not { } holder) return null;
        ThrowUnlessItShipsThere(directory, holder, url, how);
        var lsn = directory.ReadLog(static _ => { }, static (in Record _) => { }).End?.LastLsn ?? 0;
        var started = Stopwatch.GetTimestamp();
        await using var remote = RemoteAccess.Open(url);
        while (true)
        {
            var end = await remote.TryStoreAsync(cancellation) is { } store
                ? await EndAsync(remote, store, cancellation)
                : default;
            if (end.Epoch > 0 && end.Author != directory.Author)
                throw new RecoveryException(RecoveryError.Fenced,
                    $"Another writer has taken {url} over: what {holder} has not shipped never will be (see "
                    + "`recovery status`, `recovery salvage`).")
                { Path = url };
            var shipped = end.NextLsn > lsn;
            // Shipped is not restorable: that takes hints to start from, and no gap that waits for some.
            if (shipped && !new StoreHome(directory.Path).IsRestarting
                && (await remote.ListHintsAsync(cancellation)).Count > 0)
                return new SyncResult(directory.Path, url, lsn, end.LastLsn, true);
            if (directory.Holder() is null) return null;
            if (Stopwatch.GetElapsedTime(started) >= how.Patience) throw NotInTime(url, holder, lsn, end);
            await Task.Delay(LookInterval, cancellation);
        }
    }

    static RecoveryException NotInTime(string url, string holder, ulong lsn, RemoteLogEnd end) =>
        new(RecoveryError.Remote, end.NextLsn > lsn
            ? $"{url} has everything up to LSN {lsn}, but no hints to start a restore from: it cannot be restored yet. "
                + $"`PRAGMA recovery_status` in {holder} says why (remote_hints_error)."
            : $"{url} has everything up to LSN {(end.NextLsn == 0 ? 0 : end.LastLsn)} of {lsn}, "
                + $"and {holder} did not ship the rest in time. `PRAGMA recovery_status` there says why "
                + "(remote_error).")
        { Path = url };

    static void ThrowUnlessItShipsThere(StoreDirectory directory, string holder, string url, SyncOptions how)
    {
        if (directory.IsOfRocksDb)
            throw new RecoveryException(RecoveryError.Busy,
                $"The RocksDB {directory.Databases} is open in {holder}, which ships by itself.",
                "RecordedRocksDb.SyncAsync there waits for the remote; `recovery status` shows what is left.")
            { Path = directory.Path };
        // Before it has reached its remote for the first time, a store only knows who it is there.
        var shipsThere = directory.RemoteUrl is { } known ? known == url : directory.Author is not null;
        if (!shipsThere || how.NewRemote || how.Restart)
            throw new RecoveryException(RecoveryError.Busy,
                $"The store {directory.Path} is open in {holder}, which ships to "
                + $"{directory.RemoteUrl ?? "no remote"}.",
                "End that process first, or open the store there with that remote.")
            { Path = directory.Path };
    }

    static async Task<RemoteLogEnd> EndAsync(RemoteAccess remote, StoreObject store, CancellationToken cancellation)
    {
        var (end, last) = await remote.Context.FindEndAsync(store, cancellation);
        last?.Dispose();
        return end;
    }

    static async Task<SyncResult> ShipAsync(StoreDirectory directory, string url, SyncOptions how,
        CancellationToken cancellation)
    {
        var options = directory.OptionsWith(url);
        // What must stay restorable is known to the application; this only ships.
        var shipped = options.Remote! with
        {
            Retention = null,
            VerifyInterval = TimeSpan.Zero,
            MayCreateAgain = how.NewRemote,
            MayRestart = how.Restart || options.Remote!.MayRestart,
        };
        if (directory.IsOfRocksDb)
        {
            var lsn = await ClosedDirectory.ShipAsync(directory.Databases, options with { Remote = shipped },
                how.Patience, cancellation);
            return new SyncResult(directory.Path, url, lsn, lsn, true);
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(how.Patience);
        using var store = Store.Open(options with { Remote = shipped });
        return await WaitAsync(store, directory.Path, url, limit.Token, cancellation);
    }

    /// <summary>Waits for what a store of this process ships.</summary>
    static async Task<SyncResult> WaitAsync(
        Store store, string directory, string url, CancellationToken limit, CancellationToken cancellation)
    {
        var (lsn, shipping) = (store.Lsn.Last, store.RemoteOrThrow());
        try
        {
            await Task.Run(() => shipping.WaitRestorable(lsn), limit).WaitAsync(limit);
            return new SyncResult(directory, url, lsn, shipping.State.ShippedLsn, shipping.State.Hints is not null);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new RecoveryException(RecoveryError.Remote,
                $"{url} has everything up to LSN {shipping.State.ShippedLsn} of {lsn}: "
                + $"{shipping.State.LastError?.Message ?? "It was not done in time."} "
                + "What is left stays in the local log; try again later.")
            { Path = url, Lsn = shipping.State.ShippedLsn };
        }
    }
}
