using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// The log on the disk of a machine that is gone. What its remote lacks of it is sent there, as its writer would have
/// sent it: the same records, in the same epoch. So a restore finds all that reached the disk or the remote. The disk
/// is only read. Where its log is damaged, it ends.
/// </summary>
internal sealed class LeftLog : IDisposable
{
    const int SegmentBytes = 4 << 20;

    readonly LocalLog log;
    readonly ulong author;
    readonly string directory;

    LeftLog(LocalLog log, ulong author, string directory) =>
        (this.log, this.author, this.directory) = (log, author, directory);

    /// <summary>Opens what is left of a store's log.</summary>
    /// <param name="disk">Where it is.</param>
    /// <param name="directory">The store, whose <c>log</c> is read.</param>
    /// <param name="author">Who wrote it.</param>
    public static LeftLog Open(ILogDisk disk, string directory, ulong author) => new(
        LocalLog.Open(disk, directory, new LogOptions { ReadOnly = true, UpToDamage = true }), author, directory);

    /// <summary>The epoch in which it was written.</summary>
    public ulong Epoch => log.Epoch;

    /// <summary>The last record that is left.</summary>
    public ulong LastLsn => log.LastLsn;

    /// <summary>Where it is damaged; null when it is whole.</summary>
    public RecoveryException? Damage => log.Damage;

    /// <summary>
    /// Finds the place of what is missing in a remote: the log's end there, or null when the remote has all of it.
    /// Throws Fenced when another writer has gone on there, and NotFound when what lies between is lost.
    /// </summary>
    public async ValueTask<RemoteLog?> FindPlaceAsync(RemoteContext context, StoreObject store,
        CancellationToken cancellation)
    {
        if (store.LogId != log.LogId)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{context.Store.Location} holds the log {store.LogId}, and {directory} is of the log {log.LogId}.",
                "Name the directory that shipped to this remote.")
            { Path = directory };
        var (end, last) = await context.FindEndAsync(store, cancellation);
        using (last)
            if (last?.Header is { } header && header.Epoch == Epoch && header.Author == author
                && end.LastLsn >= LastLsn)
                return null;
        var remote = await RemoteTenure.ResumeAsync(context, log, author, null, cancellation, store.Holds);
        if (remote.End.NextLsn >= log.FirstLsn) return remote;
        throw new RecoveryException(RecoveryError.NotFound,
            $"The log in {directory} begins at LSN {log.FirstLsn}, and {context.Store.Location} ends at LSN "
                + $"{remote.End.LastLsn}: the records between are in neither.",
            "If the directory opens, go on with it: `recovery adopt`, then `recovery sync --restart`. Else restore "
                + "without it.")
        { Path = directory, Lsn = remote.End.NextLsn };
    }

    /// <summary>Sends what is missing, in segments; <paramref name="sent"/> is told the size of each.</summary>
    public async ValueTask ShipAsync(RemoteContext context, RemoteLog remote, Action<long> sent,
        CancellationToken cancellation)
    {
        using var queue = new ShipQueue(log, SegmentBytes, context.OpenSpool);
        queue.GoOnAt(remote.End.NextLsn);
        while (true)
        {
            queue.Pull();
            if (queue.IsEmpty) return;
            using var segment = queue.Pack(author, remote.End.Hash);
            var reached = await context.RetryAsync(token => remote.AppendAsync(segment, token), cancellation);
            // An earlier try, or the machine before it went, had sent more or fewer of the same records.
            if (reached != segment.Header.LastLsn) queue.GoOnAt(reached + 1);
            sent(segment.Content.LengthBytes);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => log.Dispose();
}
