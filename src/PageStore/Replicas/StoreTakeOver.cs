using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>
/// The first opening of a directory that a restore or a replica left, with the remote it came from: takes the remote's log over, so that
/// whoever wrote it before is fenced, and says where the local log begins.
/// </summary>
internal static class StoreTakeOver
{
    /// <summary>
    /// Takes over. Refuses when the remote does not end exactly where the directory does: then something was committed that this directory lacks.
    /// Null when there is no such remote yet: the directory begins a new one.
    /// </summary>
    public static RemoteLogEnd? Run(StoreOptions options, Hints hints) => RunAsync(options, hints).GetAwaiter().GetResult();

    static async Task<RemoteLogEnd?> RunAsync(StoreOptions options, Hints hints)
    {
        var remote = options.Remote!;
        var author = new RemoteMark(options.Directory).AuthorOrNew();
        await using var objects = remote.OpenStore(options.Time);
        var context = new RemoteContext { Store = objects, Time = options.Time };
        var store = await context.RetryAsync(token => StoreObject.FetchAsync(objects, token), default);
        if (store is null) return null;
        if (store.LogId != hints.LogId)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{objects.Location} holds the log {store.LogId}, and {options.Directory} belongs to {hints.LogId}. Give this store a prefix of its own.");
        var (end, last) = await context.FindEndAsync(store);
        last?.Dispose();
        // A promotion took over, and the directory has the record that says so; or an earlier opening did, and was killed before its log began.
        if (end.Author == author && (end.LastLsn == hints.Lsn || end.LastLsn == hints.Lsn + 1)) return end;
        if (end.LastLsn != hints.Lsn)
            throw new RecoveryException(RecoveryError.Fenced,
                $"{options.Directory} was restored to LSN {hints.Lsn}, but {objects.Location} goes on to LSN {end.LastLsn}. To go on as its writer, restore the newest "
                + "state; to keep this earlier one, give it a remote of its own (another prefix).");
        return await RemoteTenure.TakeOverAsync(context, store, end, author)
            ?? throw new RecoveryException(RecoveryError.Fenced,
                $"Another writer took {objects.Location} over at the same moment. Restore the newest state and try again, if this one is to write.");
    }
}
