using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>Where a new replica's directory goes on in its remote's log.</summary>
/// <param name="Place">Where; null, with the directory empty, when the remote has no hints yet but its whole
/// log.</param>
/// <param name="Listed">What a listing has shown of the log from there on; null when there was none.</param>
/// <param name="HintsLsn">The state that it begins with; 0 when there is none.</param>
internal readonly record struct FollowerBeginning(RemoteLogEnd? Place, IReadOnlyList<ObjectInfo>? Listed,
    ulong HintsLsn);

/// <summary>
/// Makes a directory a replica of a remote, from its newest hints, and never leaves one that is half made to be taken
/// for whole.
/// </summary>
/// <param name="context">The remote.</param>
/// <param name="store">What it says of itself.</param>
/// <param name="options">The directory, and how it is filled.</param>
/// <param name="room">What its disk must keep free.</param>
internal sealed class FollowerDirectory(RemoteContext context, StoreObject store, FollowerOptions options,
    DiskReserve room)
{
    StoreHome Home => options.Store.Home;

    /// <summary>Empties the directory and brings the newest hints into it.</summary>
    /// <param name="newest">Which hints are the newest, for one that believes them without looking whether all that
    /// they need is there: who reads it finds out. Null for others.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task<FollowerBeginning> BeginAsync(Task<ulong?>? newest, CancellationToken cancellation)
    {
        var planning = newest is not null
            ? RestorePlanner.TryPlanNewestAsync(context, store, newest, cancellation)
            : Task.FromResult<RestorePlan?>(null);
        IDisposable? held = null;
        try
        {
            // The disk's syncs go beside the requests.
            held = Clear();
            var begun = await FillAsync(await planning, cancellation);
            if (begun.IsDurable) Home.EndOver();
            else Home.EndOverUnsynced();
            return begun.Beginning;
        }
        finally
        {
            await ((Task)planning).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            held?.Dispose();
        }
    }

    StoreLock Clear()
    {
        Home.Create();
        var held = StoreLock.Take(Home.Path);
        try
        {
            Home.BeginOver();
            Home.Empty();
            if (options.IsOfMoment) Home.BeginMoment(options.Moment.ToString());
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    async Task<(FollowerBeginning Beginning, bool IsDurable)> FillAsync(RestorePlan? quick,
        CancellationToken cancellation)
    {
        for (; ; quick = null)
        {
            var plan = quick
                ?? await RestorePlanner.PlanAsync(context, options.Moment, cancellation: cancellation);
            if (plan.IsFromBeginning) return (default, true);
            bool isDurable;
            try
            {
                isDurable = await PlaceFilesAsync(plan, cancellation);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.NotFound)
            {
                // Hints that were replaced while we fetched may have been collected: the newer ones then have
                // everything.
                if (options.IsOfMoment
                    || await context.HintsUpToAsync(store, ulong.MaxValue, cancellation) is not { } newest
                    || newest.Header.Lsn <= plan.Hints.Header.Lsn)
                    throw;
                Home.Empty();
                continue;
            }
            var target = isDurable ? options.Store : options.Store with { Disk = UnsyncedDisk.Instance };
            Replica.Begin(target, plan.Hints.Hints);
            target.Home.Following = options.Url;
            Home.CompleteAt = DateTimeOffset.FromUnixTimeMilliseconds(plan.Hints.Header.TimeMs);
            var header = plan.Hints.Header;
            return (new FollowerBeginning(header.Start, plan.Segments, header.Lsn), isDurable);
        }
    }

    /// <summary>Whether what is there is durable then.</summary>
    async Task<bool> PlaceFilesAsync(RestorePlan plan, CancellationToken cancellation)
    {
        if (options.Fetch != FetchMode.All && new LazyPlacing(plan) is { Files.Count: > 0 } lazy)
        {
            room.CheckRoomFor(lazy.FetchBytes);
            await lazy.PlaceAsync(options.Store, options.Parallelism, new LazyPlace(options.Url, context),
                cancellation);
            return false;
        }
        room.CheckRoomFor(plan.FetchBytes);
        await StoreRestore.PlaceFilesAsync(plan, options.Store, options.Parallelism, static _ => { }, cancellation);
        return true;
    }
}
