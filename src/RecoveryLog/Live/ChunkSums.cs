using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>
/// The checksums of a plain file, chunk by chunk, kept while it is written: what is appended is added to them, and
/// chunks that are overwritten are read again when the checksums are wanted. One thread at a time.
/// </summary>
internal sealed class ChunkSums
{
    /// <summary>Bytes of a chunk; the last may have fewer. Part of the format of hints.</summary>
    public const int ChunkBytes = 16 << 10;

    readonly List<uint> sums = [];
    readonly SortedSet<int> stale = [];

    /// <summary>The bytes that there are.</summary>
    public long SizeBytes { get; private set; }

    /// <summary>Of so many bytes.</summary>
    public static int CountOf(long sizeBytes) => checked((int)((sizeBytes + ChunkBytes - 1) / ChunkBytes));

    /// <summary>
    /// Those of a file of that size. Without <paramref name="known"/> ones, the file is read when they are wanted.
    /// </summary>
    public static ChunkSums From(long sizeBytes, ReadOnlyMemory<uint> known)
    {
        var made = new ChunkSums { SizeBytes = sizeBytes };
        var count = CountOf(sizeBytes);
        if (known.Length == count) made.sums.AddRange(known.Span);
        else
        {
            for (var i = 0; i < count; i++)
            {
                made.sums.Add(0);
                made.stale.Add(i);
            }
        }
        return made;
    }

    /// <summary>Those of bytes.</summary>
    public static uint[] Of(ReadOnlySpan<byte> bytes)
    {
        var made = new ChunkSums();
        made.Write(0, bytes);
        return [.. made.sums];
    }

    /// <summary>Bytes are written; what lies between the end and them is zeros.</summary>
    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        while (SizeBytes < offset)
            if (SizeBytes % ChunkBytes == 0 && offset - SizeBytes >= ChunkBytes)
            {
                sums.Add(sumOfZeros);
                SizeBytes += ChunkBytes;
            }
            else Append(zeros.AsSpan(0, (int)Math.Min(ChunkBytes - (SizeBytes % ChunkBytes), offset - SizeBytes)));
        var over = (int)Math.Min(bytes.Length, SizeBytes - offset);
        if (over > 0)
            for (var chunk = (int)(offset / ChunkBytes); chunk <= (offset + over - 1) / ChunkBytes; chunk++)
                stale.Add(chunk);
        Append(bytes[over..]);
    }

    static readonly byte[] zeros = new byte[ChunkBytes];

    static readonly uint sumOfZeros = Crc32C.Compute(zeros);

    void Append(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var (chunk, used) = ((int)(SizeBytes / ChunkBytes), (int)(SizeBytes % ChunkBytes));
            if (used == 0) sums.Add(0);
            var part = bytes[..Math.Min(bytes.Length, ChunkBytes - used)];
            sums[chunk] = Crc32C.Compute(part, sums[chunk]);
            SizeBytes += part.Length;
            bytes = bytes[part.Length..];
        }
    }

    /// <summary>What lies beyond a size is gone.</summary>
    public void Truncate(long sizeBytes)
    {
        if (sizeBytes >= SizeBytes) return;
        SizeBytes = sizeBytes;
        var count = CountOf(sizeBytes);
        sums.RemoveRange(count, sums.Count - count);
        stale.RemoveWhere(c => c >= count);
        if (sizeBytes % ChunkBytes != 0) stale.Add(count - 1);
    }

    /// <summary>The checksums as of now; null when the file does not have all of its bytes.</summary>
    public uint[]? Take(ChunkRead read)
    {
        foreach (var chunk in stale.ToArray())
        {
            if (Compute(read, chunk, SizeBytes) is not { } sum) return null;
            sums[chunk] = sum;
            stale.Remove(chunk);
        }
        return [.. sums];
    }

    /// <summary>What is known of a chunk without reading it.</summary>
    public uint? Known(int chunk) => chunk >= sums.Count || stale.Contains(chunk) ? null : sums[chunk];

    /// <summary>
    /// The checksum of a chunk of a file of that size as it can be read; null when it has too few bytes.
    /// </summary>
    public static uint? Compute(ChunkRead read, int chunk, long sizeBytes)
    {
        var start = (long)chunk * ChunkBytes;
        var bytes = new byte[(int)Math.Min(ChunkBytes, sizeBytes - start)];
        return read(start, bytes) == bytes.Length ? Crc32C.Compute(bytes) : null;
    }
}

/// <summary>Reads from an offset on; returns how many bytes there were.</summary>
internal delegate int ChunkRead(long offset, Span<byte> destination);
