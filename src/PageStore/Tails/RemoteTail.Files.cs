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
    internal IAsyncEnumerable<FileChange> ReadFilesAsync(CancellationToken cancellation = default) =>
        ReadRecordsAsync<FileChange>((in Record record, ulong epoch, List<FileChange> found) =>
        {
            if (FileChange.Take(record, epoch, live) is { } change) found.Add(change);
        }, static change => (change.Lsn, change.Time), cancellation);

    /// <summary>The write batches, in order; otherwise as <see cref="ReadAsync"/>.</summary>
    internal IAsyncEnumerable<TailedBatch> ReadBatchesAsync(CancellationToken cancellation = default) =>
        ReadRecordsAsync<TailedBatch>(new BatchTail(live).Take, static batch => (batch.Lsn, batch.Time), cancellation);

    delegate void Taken<T>(in Record record, ulong epoch, List<T> found);

    async IAsyncEnumerable<T> ReadRecordsAsync<T>(Taken<T> take, Func<T, (ulong Lsn, DateTimeOffset Time)> placeOf,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        var store = await FetchStoreAsync(cancellation);
        var place = await FindPlaceAsync(store, cancellation);
        await LearnAsync(store, place, static _ => true, live.Apply, cancellation);
        var (reader, segment) = await BeginAsync(store, place, cancellation);
        using var owned = reader;
        var (from, fromMs) = (options.From.Lsn ?? 0, options.From.Time?.ToUnixTimeMilliseconds() ?? long.MinValue);
        var found = new List<T>();
        for (; segment is not null; segment = await NextAsync(reader, cancellation))
        {
            using (segment)
            using (var source = segment.OpenRecords())
            {
                if (segment.Header.IsGap)
                    await LearnAsync(store, reader.Position, static _ => true, live.Apply, cancellation);
                while (TakeNext(source, segment.Header.Epoch, take, found))
                {
                    foreach (var one in found)
                        if (placeOf(one) is var (lsn, time) && lsn >= from && time.ToUnixTimeMilliseconds() >= fromMs)
                            yield return one;
                    found.Clear();
                }
                Lsn = segment.Header.LastLsn;
            }
        }
    }

    static bool TakeNext<T>(SegmentRecords source, ulong epoch, Taken<T> take, List<T> found)
    {
        if (!source.TryRead(out var record)) return false;
        take(record, epoch, found);
        return true;
    }

    async Task<StoreObject> FetchStoreAsync(CancellationToken cancellation) =>
        await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
            ?? throw new RecoveryException(RecoveryError.NotFound,
                $"There is no remote at {context.Store.Location}: store.json is missing.",
                "Check the URL.")
            { Path = context.Store.Location };
}
