using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>
/// The first opening of a directory that a restore or a replica left, with the remote it came from: takes the remote's
/// log over, so that whoever wrote it before is fenced, and says where the local log begins.
/// </summary>
internal static class StoreTakeOver
{
    /// <summary>
    /// In a directory that a restore left: takes over the remote it came from, if it is to write there, and says where
    /// the log begins and in which epoch. The hints are newer then.
    /// </summary>
    public static (Hints? Hints, ulong? CreateAt, ulong Epoch) Begin(StoreOptions options, Hints? hints)
    {
        var home = options.Home;
        var first = home.FirstLsnAfterRestore(hints);
        if (first is null || hints is null) return (hints, null, 1);
        if (options.Remote is null || Run(options, hints) is not { } end)
            return (hints, first, Math.Max(1, hints.Epoch));
        // The record that says so is in the remote; here, the hints step over it.
        home.AddRemote(options.Remote.Url);
        hints = hints with { Lsn = end.LastLsn, ReplayFrom = end.NextLsn, Epoch = end.Epoch };
        LocalHints.Publish(options.Disk, options.Directory, hints);
        home.NoteRestored(hints.Lsn);
        return (hints, end.NextLsn, end.Epoch);
    }

    /// <summary>Refuses a directory whose log is gone, or is another one than the remote's.</summary>
    public static void RequireOwnLog(StoreOptions options, Hints? hints, ulong? createAt)
    {
        if (createAt is not null) return;
        if (hints is not null && !options.Home.HasLog) throw options.Home.WithoutLog(hints);
        if (options.Remote is not null) ThrowIfAnotherLine(options, hints);
    }

    /// <summary>How the local log of such a store is opened.</summary>
    public static LogOptions LogOf(StoreOptions options, Hints? hints, ulong? createAt, ulong epoch,
        RecordTaken onAppended) => new()
        {
            LogId = hints?.LogId,
            CreateAt = createAt,
            Epoch = epoch,
            MaxLogBytes = options.MaxLocalLogBytes,
            SegmentBytes = options.SegmentBytes,
            FirstSegmentBytes = Math.Min(options.SegmentBytes, 1 << 20),
            Time = options.Time,
            NotBeforeMs = hints?.UnixTimeMs ?? 0,
            OnAppended = onAppended,
        };

    /// <summary>
    /// Takes over. Refuses when the remote does not end exactly where the directory does: then something was committed
    /// that this directory lacks. Null when there is no such remote yet: the directory begins a new one.
    /// </summary>
    public static RemoteLogEnd? Run(StoreOptions options, Hints hints)
        => RunAsync(options, hints).GetAwaiter().GetResult();

    static async Task<RemoteLogEnd?> RunAsync(StoreOptions options, Hints hints)
    {
        var remote = options.Remote!;
        var author = options.Home.AuthorOrNew();
        options.Home.BeginToShip();
        await using var objects = remote.OpenStore(options.Time);
        var context = RemoteContext.Of(objects, options.Time, options.Directory);
        var store = await context.RetryAsync(token => StoreObject.FetchAsync(objects, token), default);
        if (store is null) return null;
        if (store.LogId != hints.LogId)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{objects.Location} holds the log {store.LogId}, and {options.Directory} belongs to {hints.LogId}.",
                "Give this store a prefix of its own.")
            { Path = objects.Location };
        var (end, last) = await context.FindEndAsync(store);
        last?.Dispose();
        // A promotion took over, and the directory has the record that says so; or an earlier opening did, and was
        // killed before its log began.
        if (end.Author == author && (end.LastLsn == hints.Lsn || end.LastLsn == hints.Lsn + 1)) return end;
        if (end.LastLsn != hints.Lsn)
            throw new RecoveryException(RecoveryError.Fenced,
                $"{options.Directory} was restored to LSN {hints.Lsn}, but {objects.Location} goes on to LSN "
                    + $"{end.LastLsn}.",
                "To go on as its writer, restore the newest state; to keep this earlier one, give it a remote of its "
                    + "own (another prefix).")
            { Path = objects.Location, Lsn = end.LastLsn };
        return await RemoteTenure.TakeOverAsync(context, store, end, author)
            ?? throw new RecoveryException(RecoveryError.Fenced,
                $"Another writer took {objects.Location} over at the same moment.",
                "Restore the newest state and try again, if this one is to write.")
            { Path = objects.Location };
    }

    /// <summary>
    /// A directory that was restored and then written without its remote is another line of the same history: it can
    /// never ship there, and every commit that it took before it noticed would be in vain. So it is refused at its
    /// opening. One that has taken the remote over, or has shipped there, is not asked about.
    /// </summary>
    static void ThrowIfAnotherLine(StoreOptions options, Hints? hints)
    {
        if (hints is null || options.Home.RestoredLsn is not { } restored
            || options.Home.RemoteUrls.Contains(options.Remote!.Url))
            return;
        ThrowIfAnotherLineAsync(options, hints, restored).GetAwaiter().GetResult();
    }

    static async Task ThrowIfAnotherLineAsync(StoreOptions options, Hints hints, ulong restored)
    {
        await using var objects = options.Remote!.OpenStore(options.Time, readOnly: true);
        var context = RemoteContext.Of(objects, options.Time, options.Directory);
        var store = await context.RetryAsync(token => StoreObject.FetchAsync(objects, token), default);
        if (store is null || store.LogId != hints.LogId) return;
        var (end, last) = await context.FindEndAsync(store);
        last?.Dispose();
        if (end.Author == options.Home.Author) return;
        throw new RecoveryException(RecoveryError.Fenced,
            $"{options.Directory} was restored to LSN {restored} and has been written since without "
                + $"{objects.Location}, which ends at LSN {end.LastLsn} and is another writer's: the two are "
            + "different lines of one history, and nothing was changed.",
            "To go on from the remote's newest state, "
                + $"restore it into an empty directory (`recovery restore {options.Remote!.Url} DIR`); "
            + "to keep what is here, give it a remote of its own (another prefix), or none: `recovery remote set`.")
        { Path = objects.Location, Lsn = end.LastLsn };
    }
}
