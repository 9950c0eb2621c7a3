using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using Code = RecoveryVfs.PageStore.Interop.Native.Code;

namespace RecoveryVfs.PageStore.Rocks;

internal sealed unsafe partial class RocksPageStore
{
    /// <summary>
    /// The older half of the blob files is rewritten at a time: measured against RocksDB's default of a quarter.
    /// </summary>
    const double AgeCutoff = 0.5;

    /// <summary>
    /// With more than this many stored pages for each live one, most of what is stored is garbage, known or not.
    /// </summary>
    const int StoredPerLiveMax = 2;

    /// <summary>
    /// Range deletions that a compaction left in the files, because a snapshot still needs what they cover.
    /// </summary>
    long leftRangeDeletions;

    /// <inheritdoc/>
    /// <remarks>
    /// Sees what has been flushed. A deleted range first has its keys compacted (about 1 % of the pages' size), which
    /// shows how much garbage it made. Waits for RocksDB's compaction thread. Cancelled, it returns false.
    /// </remarks>
    public bool CollectGarbage(CancellationToken cancellation)
    {
        var statistics = Stat();
        var rewritten = false;
        if (statistics.RangeDeletions > leftRangeDeletions)
        {
            if (!Rewrite(collect: false, AgeCutoff, cancellation))
                return false;
            rewritten = true;
            statistics = Stat();
            leftRangeDeletions = statistics.RangeDeletions;
        }
        if (!IsWorthCollecting(statistics))
            return rewritten;
        return Rewrite(collect: true, AgeCutoff, cancellation);
    }

    /// <inheritdoc/>
    public bool Compact(CancellationToken cancellation)
    {
        // Twice, since RocksDB learns only while it drops keys which blobs they leave behind.
        if (!Rewrite(collect: false, AgeCutoff, cancellation)) return false;
        return Rewrite(collect: true, 1.0, cancellation);
    }

    bool IsWorthCollecting(in Native.Statistics now)
    {
        if (now.BlobGarbageBytes > now.BlobBytes * options.GarbageShareMax)
            return true;
        return options.LivePages?.Invoke() is { } live && now.BlobCount > live * StoredPerLiveMax + MinPages;
    }

    /// <summary>Below a few hundred pages too many, nothing is gained.</summary>
    const int MinPages = 1024;

    bool Rewrite(bool collect, double ageCutoff, CancellationToken cancellation)
    {
        byte canceled = 0;
        using var registration =
            cancellation.UnsafeRegister(static flag => Volatile.Write(ref *(byte*)(nint)flag!, 1), (nint)(&canceled));
        var code = Native.rv_compact(handle, collect ? 1 : 0, ageCutoff, &canceled, out var error);
        if (code == Code.Canceled)
        {
            RocksErrors.Take(error);
            return false;
        }
        Check(code, error, "Collecting garbage", writing: true);
        Telemetry.Compacted(options.Directory);
        return true;
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, long> Statistics()
    {
        var now = Stat();
        return new Dictionary<string, long>
        {
            ["blob_files"] = now.BlobFiles,
            ["blob_file_bytes"] = now.BlobFileBytes,
            ["blob_bytes"] = now.BlobBytes,
            ["blob_garbage_bytes"] = now.BlobGarbageBytes,
            ["blob_count"] = now.BlobCount,
            ["blob_garbage_count"] = now.BlobGarbageCount,
            ["table_files"] = now.TableFiles,
            ["table_bytes"] = now.TableBytes,
            ["level0_files"] = now.Level0Files,
            ["range_deletions"] = now.RangeDeletions,
            ["unflushed_bytes"] = now.UnflushedBytes,
            ["pending_compaction_bytes"] = now.PendingCompactionBytes,
            ["snapshots"] = now.Snapshots,
            ["flushes"] = now.Flushes,
            ["block_cache_bytes"] = now.BlockCacheBytes,
            ["background_errors"] = now.BackgroundErrors,
            ["write_stopped"] = now.WriteStopped,
        };
    }

    Native.Statistics Stat()
    {
        Check(Native.rv_stat(handle, out var statistics, out var error), error, "Reading statistics", writing: false);
        return statistics;
    }
}
