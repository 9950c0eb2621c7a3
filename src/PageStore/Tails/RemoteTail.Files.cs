using System.Runtime.CompilerServices;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Tails;

// What was done to the files of a recorded RocksDB.
public sealed partial class RemoteTail
{
    /// <summary>Whether the remote holds the files of a RocksDB.</summary>
    internal async Task<bool> IsOfRocksDbAsync(CancellationToken cancellation) =>
        (await FetchStoreAsync(cancellation)).Holds == StoreObject.RocksDb;

    /// <summary>The changes of files, in order; otherwise as <see cref="ReadAsync"/>.</summary>
    internal async IAsyncEnumerable<FileChange> ReadFilesAsync(
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var store = await FetchStoreAsync(cancellation);
        var place = await FindPlaceAsync(store, cancellation);
        await LearnAsync(store, place, static _ => true, live.Apply, cancellation);
        var (reader, segment) = await BeginAsync(store, place, cancellation);
        using var owned = reader;
        var (from, fromMs) = (options.From.Lsn ?? 0, options.From.Time?.ToUnixTimeMilliseconds() ?? long.MinValue);
        for (; segment is not null; segment = await NextAsync(reader, cancellation))
        {
            using (segment)
            using (var source = segment.OpenRecords())
            {
                if (segment.Header.IsGap)
                    await LearnAsync(store, reader.Position, static _ => true, live.Apply, cancellation);
                while (TakeNext(source, segment.Header.Epoch, out var change))
                    if (change is not null && change.Lsn >= from && change.Time.ToUnixTimeMilliseconds() >= fromMs)
                        yield return change;
                Lsn = segment.Header.LastLsn;
            }
        }
    }

    bool TakeNext(SegmentRecords source, ulong epoch, out FileChange? change)
    {
        change = null;
        if (!source.TryRead(out var record)) return false;
        change = FileChange.Take(record, epoch, live);
        return true;
    }

    async Task<StoreObject> FetchStoreAsync(CancellationToken cancellation) =>
        await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
            ?? throw new RecoveryException(RecoveryError.NotFound,
                $"There is no remote at {context.Store.Location}: store.json is missing.",
                "Check the URL.")
            { Path = context.Store.Location };
}
