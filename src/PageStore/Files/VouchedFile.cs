using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// What hints say of a plain file, as far as no record after them has touched it. A writer that is about to change a
/// chunk that the hints vouch for first records the whole chunk as it is (see <see cref="PlainNode"/>): from there on
/// the log speaks for that chunk, and the hints for the others. Older versions recorded a chunk's beginning only: then
/// nothing from there on is vouched for.
/// </summary>
internal sealed class VouchedFile(LiveFile file)
{
    const int ChunkBytes = ChunkSums.ChunkBytes;

    readonly HashSet<int> recorded = [];
    // Chunks that were not as the hints say when the file was found: a record may say why.
    readonly List<int> suspects = [];

    /// <summary>The file as the hints have it.</summary>
    public LiveFile File => file;

    /// <summary>Whether it was looked at, see <see cref="Find"/>.</summary>
    public bool IsFound { get; private set; }

    /// <summary>Whether it has fewer bytes than the hints say, and no record says why.</summary>
    public bool IsShort { get; set; }

    /// <summary>Nothing is vouched for from there on.</summary>
    public long Until { get; private set; } = file.Sums.Length > 0 ? file.SizeBytes : 0;

    /// <summary>
    /// Whether an earlier version wrote the hints, or the log after them: then bytes that they should vouch for may be
    /// damaged without a word, until newer hints do.
    /// </summary>
    public bool IsOfEarlierVersion { get; private set; } = file is { SizeBytes: > 0, Sums.Length: 0 };

    /// <summary>
    /// The file as it is before any record is repeated on it, when it is opened for that: what is as the hints say then
    /// stays so, but for what records change. So each file is opened once.
    /// </summary>
    /// <param name="lengthBytes">Its length; -1 when it is not there.</param>
    /// <param name="read">Reads it; null when it is not there.</param>
    public void Find(long lengthBytes, ChunkRead? read)
    {
        if (IsFound) return;
        (IsFound, IsShort) = (true, lengthBytes < file.SizeBytes);
        for (var chunk = 0; (long)chunk * ChunkBytes < Until; chunk++)
            if (read is null || IsDamaged(chunk, read)) suspects.Add(chunk);
    }

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
        foreach (var chunk in suspects)
            if ((long)chunk * ChunkBytes < until && !recorded.Contains(chunk) && IsDamaged(chunk, read)) return chunk;
        return null;
    }

    bool IsDamaged(int chunk, ChunkRead read)
        => ChunkSums.Compute(read, chunk, file.SizeBytes) != file.Sums.Span[chunk];
}
