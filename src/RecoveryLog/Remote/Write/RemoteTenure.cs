using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// How a writer comes to own a remote's log: by creating it, by going on where it stopped, or by taking over.
/// </summary>
internal static class RemoteTenure
{
    /// <summary>
    /// Goes on as the writer that the local log belongs to, or, with <paramref name="createAt"/>, creates the remote
    /// when there is none. Throws Invalid when another log lives there, NotFound when there is no remote and none may
    /// be created, and Fenced when the log is somebody else's by now or has left this store behind.
    /// </summary>
    /// <remarks>
    /// Whether a remote may be new is known only to the caller: a store that has ever shipped must not find "no remote"
    /// and begin an empty one.
    /// </remarks>
    public static async ValueTask<RemoteLog> ResumeAsync(
        RemoteContext context, LocalLog local, ulong author, ulong? createAt, CancellationToken cancellation = default,
        string? holds = null)
    {
        var store = await FindOrCreateAsync(context, local, author, createAt, holds, cancellation);
        var (end, last) = await context.FindEndAsync(store, cancellation);
        using (last)
        {
            var remote = new RemoteLog(context, store, local, author, end);
            if (last is null) return remote;
            var header = last.Header;
            bool isOurs = header.Epoch == local.Epoch && header.Author == author;
            if (header.Epoch > local.Epoch || header.Epoch == local.Epoch && !isOurs) throw remote.Fence(last);
            if (end.LastLsn > local.LastLsn)
                throw remote.Fence(FenceMessage.Ahead(context.Store, end.LastLsn, local.LastLsn), local.LastLsn + 1);
            if (!LocalMatch.Matches(local, last)) throw remote.Fence(last);
            return remote;
        }
    }

    /// <summary>
    /// Takes the log over at its end: creates the next segment, with nothing but EpochBegan in it, one epoch higher.
    /// Returns the place after it, from which the new writer goes on (its local log starts there, in that epoch), or
    /// null when somebody else was faster: then read on to the new end, and try again.
    /// </summary>
    public static async ValueTask<RemoteLogEnd?> TakeOverAsync(
        RemoteContext context, StoreObject store, RemoteLogEnd end, ulong author,
            CancellationToken cancellation = default)
    {
        byte[] body = new byte[24];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(body, end.Epoch + 1);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(body.AsSpan(8), author);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(body.AsSpan(16), end.LastLsn);
        using var builder = new SegmentBuilder();
        builder.Add(new Record(end.NextLsn, RecordKind.EpochBegan, 0, context.Time.GetUtcNow().ToUnixTimeMilliseconds(),
            0, body));
        using var segment = builder.Finish(store.LogId, end.Epoch + 1, author, end.Hash);
        return await context.RetryAsync<RemoteLogEnd?>(async token =>
        {
            try
            {
                if (await context.Store.CreateAsync(segment.Name, segment.Content, token) == CreateResult.Created)
                    return RemoteLogEnd.After(segment.Header, segment.Hash);
            }
            catch (ObjectStoreException e) when (e.Error == ObjectStoreError.Unknown)
            {
                if (await context.Store.HeadAsync(segment.Name, token) is null) throw;
            }
            using var found = await RemoteSegment.FetchAsync(context.Store, segment.Name, context.OpenSpool, token);
            return found?.Hash == segment.Hash ? RemoteLogEnd.After(segment.Header, segment.Hash) : null;
        }, cancellation);
    }

    static async ValueTask<StoreObject> FindOrCreateAsync(
        RemoteContext context, LocalLog local, ulong author, ulong? createAt, string? holds,
            CancellationToken cancellation)
    {
        return await context.RetryAsync(async token =>
        {
            var store = await StoreObject.FetchAsync(context.Store, token);
            if (store is null && createAt is { } firstLsn)
            {
                var made = StoreObject.Make(local.LogId, firstLsn, author, context.Time.GetUtcNow(), holds);
                // Whatever comes of it, what is there afterwards counts.
                await context.Store.CreateAsync(RemoteNames.Store, made.ToBytes(), token);
                store = await StoreObject.FetchAsync(context.Store, token);
            }
            if (store is null)
                throw new RecoveryException(RecoveryError.NotFound,
                    $"There is no remote at {context.Store.Location}, though this store has shipped to one.",
                    "Check the URL; to begin a new remote there, say so: recovery sync --new-remote DIR")
                { Path = context.Store.Location };
            if (store.LogId != local.LogId)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{context.Store.Location} holds another log ({store.LogId}; this store's is {local.LogId}).",
                    "Give this store a prefix of its own, or restore that one into an empty directory")
                { Path = context.Store.Location };
            if (store.Holds != holds)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{context.Store.Location} holds {store.Holds ?? "databases"}, and this log is of "
                        + $"{holds ?? "databases"}.",
                    "Give this store a prefix of its own")
                { Path = context.Store.Location };
            return store;
        }, cancellation);
    }
}
