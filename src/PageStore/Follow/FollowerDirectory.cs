using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// Makes a directory a replica of a remote, from its newest hints, and never leaves one that is half made to be taken
/// for whole.
/// </summary>
internal static class FollowerDirectory
{
    /// <summary>
    /// Empties the directory and brings the newest hints into it; returns where the log goes on. Null, with the
    /// directory empty, when the remote has no hints yet but its whole log.
    /// </summary>
    public static async Task<RemoteLogEnd?> BeginAsync(RemoteContext context, StoreObject store,
        FollowerOptions options, DiskReserve room, CancellationToken cancellation)
    {
        var home = options.Store.Home;
        home.Create();
        using var held = StoreLock.Take(home.Path);
        home.BeginOver();
        home.Empty();
        var begun = await FillAsync(context, store, options, room, cancellation);
        home.EndOver();
        return begun;
    }

    static async Task<RemoteLogEnd?> FillAsync(RemoteContext context, StoreObject store, FollowerOptions options,
        DiskReserve room, CancellationToken cancellation)
    {
        while (true)
        {
            var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.Newest, cancellation: cancellation);
            if (plan.IsFromBeginning) return null;
            var isLazy = options.Fetch != FetchMode.All;
            room.CheckRoomFor(plan.FetchBytes
                - (isLazy ? StoreRestore.LazyFilesOf(plan).Sum(f => f.Extent.SizeBytes) : 0));
            try
            {
                await StoreRestore.PlaceFilesAsync(plan, options.Store, options.Parallelism, static _ => { },
                    cancellation, isLazy ? new LazyPlace(options.Url, context) : null);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.NotFound)
            {
                // Hints that were replaced while we fetched may have been collected: the newer ones then have
                // everything.
                if (await context.HintsUpToAsync(store, ulong.MaxValue, cancellation) is not { } newest
                    || newest.Header.Lsn <= plan.Hints.Header.Lsn)
                    throw;
                options.Store.Home.Empty();
                continue;
            }
            Replica.Begin(options.Store, plan.Hints.Hints);
            options.Store.Home.CompleteAt = DateTimeOffset.FromUnixTimeMilliseconds(plan.Hints.Header.TimeMs);
            return plan.Hints.Header.Start;
        }
    }
}
