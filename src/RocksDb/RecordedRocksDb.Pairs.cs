using System.Runtime.CompilerServices;
using RocksDbSharp;

namespace RecoveryVfs.RocksDb;

// Pairs, out of it and into it.
public sealed partial class RecordedRocksDb
{
    const int BatchBytes = 1 << 20, PairsBetweenLooks = 256;

    /// <summary>
    /// The pairs of a column family (default: <c>default</c>) as one moment shows them, in the order of their keys,
    /// from
    /// <paramref name="from"/> on and up to, but without, <paramref name="to"/>; null is no bound. Writes go on
    /// meanwhile.
    /// </summary>
    public async IAsyncEnumerable<KeyValueEntry> ExportAsync(byte[]? from = null, byte[]? to = null,
        string? family = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        family ??= ColumnFamilies.DefaultName;
        using var snapshot = Db.CreateSnapshot();
        var options = new ReadOptions().SetSnapshot(snapshot).SetFillCache(false).SetTotalOrderSeek(true);
        if (to is not null) options.SetIterateUpperBound(to);
        using var iterator = Db.NewIterator(FamilyOf(family), options);
        if (from is null) iterator.SeekToFirst();
        else iterator.Seek(from);
        for (var pairs = 1L; iterator.Valid(); iterator.Next(), pairs++)
        {
            if (pairs % PairsBetweenLooks == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                await Task.Yield();
            }
            yield return new KeyValueEntry(family, iterator.Key(), iterator.Value());
        }
        GC.KeepAlive(options);
    }

    /// <summary>
    /// Writes pairs, in batches, over what is there, into families that are open; returns how many. They are synced at
    /// the end.
    /// </summary>
    public async Task<long> ImportAsync(IAsyncEnumerable<KeyValueEntry> pairs, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        ObjectDisposedException.ThrowIf(disposed, this);
        var (written, bytes) = (0L, 0L);
        using var batch = new WriteBatch();
        await foreach (var (family, key, value) in pairs.WithCancellation(cancellation))
        {
            batch.Put(key, value, FamilyOf(family));
            written++;
            bytes += key.Length + value.Length;
            if (bytes < BatchBytes) continue;
            Db.Write(batch);
            batch.Clear();
            bytes = 0;
        }
        Db.Write(batch, new WriteOptions().SetSync(true));
        return written;
    }

    ColumnFamilyHandle? FamilyOf(string family) =>
        family == ColumnFamilies.DefaultName ? null : Db.GetColumnFamily(family);
}
