using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// What hints say of a plain file, as far as no record after them has touched it. A writer that is about to change a
/// chunk that the hints vouch for first records the whole chunk as it is (see <see cref="PlainNode"/>): from there on
/// the log speaks for that chunk, and the hints for the others. Older versions recorded a chunk's beginning only: then
/// nothing from there on is vouched for.
/// </summary>
internal sealed class VouchedFile(LiveFile file, long lengthBefore)
{
    const int ChunkBytes = ChunkSums.ChunkBytes;

    readonly HashSet<int> recorded = [];

    /// <summary>The file as the hints have it.</summary>
    public LiveFile File => file;

    /// <summary>Whether it has fewer bytes than the hints say, and no record says why.</summary>
    public bool IsShort { get; set; } = lengthBefore < file.SizeBytes;

    /// <summary>Nothing is vouched for from there on.</summary>
    public long Until { get; private set; } = file.Sums.Length > 0 ? file.SizeBytes : 0;

    /// <summary>
    /// Whether an earlier version wrote the hints, or the log after them: then bytes that they should vouch for may be
    /// damaged without a word, until newer hints do.
    /// </summary>
    public bool IsOfEarlierVersion { get; private set; } = file is { SizeBytes: > 0, Sums.Length: 0 };

    /// <summary>A record wrote to it.</summary>
    public void Written(long offset, int length)
    {
        if (offset >= Until) return;
        var end = Math.Min(offset + length, Until);
        for (var chunk = (int)(offset / ChunkBytes); chunk == offset / ChunkBytes || (long)chunk * ChunkBytes < end;
            chunk++)
        {
            if (recorded.Contains(chunk)) continue;
            var start = (long)chunk * ChunkBytes;
            if (offset > start || end < Math.Min(start + ChunkBytes, Until))
            {
                Until = offset;
                IsOfEarlierVersion = true;
                return;
            }
            recorded.Add(chunk);
        }
    }

    /// <summary>A record cut it.</summary>
    public void Cut(long sizeBytes)
    {
        if (sizeBytes >= file.SizeBytes) return;
        // It may have been cut before the process died.
        IsShort = false;
        Until = Math.Min(Until, sizeBytes);
    }

    /// <summary>The first chunk that is not as the hints say, or null.</summary>
    public int? FirstDamaged(ChunkRead read)
    {
        // Up to a chunk's end, or the file's as it was.
        var until = Until == file.SizeBytes ? file.SizeBytes : Until / ChunkBytes * ChunkBytes;
        for (var chunk = 0; (long)chunk * ChunkBytes < until; chunk++)
            if (!recorded.Contains(chunk) && ChunkSums.Compute(read, chunk, file.SizeBytes) != file.Sums.Span[chunk])
                return chunk;
        return null;
    }
}
