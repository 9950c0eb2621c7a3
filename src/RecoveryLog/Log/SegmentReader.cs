using System.Buffers;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// Reads records of one segment file by offset, through a window that slides over it. One thread at a time.
/// </summary>
internal sealed class SegmentReader(ILogFile file, uint seed, int windowBytes = 256 << 10) : IDisposable
{
    byte[] window = ArrayPool<byte>.Shared.Rent(windowBytes);
    long windowStart;
    int windowLength;

    internal long FileBytes { get; private set; } = file.SizeBytes;

    /// <summary>
    /// Reads the record at an offset; false when none verifies there. The view is valid until the next call. Never
    /// allocates more than the file has bytes.
    /// </summary>
    internal bool TryReadAt(long offset, out Record record, out int sizeBytes)
    {
        record = default;
        sizeBytes = 0;
        if (!TryLoad(offset, RecordFormat.HeaderBytes))
            return false;
        var (length, _) = RecordFormat.Peek(window.AsSpan((int)(offset - windowStart)));
        return length <= RecordFormat.MaxBodyBytes && TryLoad(offset, RecordFormat.SizeOf((int)length))
            && RecordFormat.TryRead(window.AsSpan((int)(offset - windowStart), RecordFormat.SizeOf((int)length)), seed,
            out record, out sizeBytes);
    }

    /// <summary>
    /// Bytes from an offset on, as many as the window can show (none at the end of the file), at least
    /// <paramref name="atLeast"/> if there are.
    /// </summary>
    internal ReadOnlySpan<byte> BytesAt(long offset, int atLeast)
    {
        if (!TryLoad(offset, atLeast))
            TryLoad(offset, (int)Math.Max(0, Math.Min(atLeast, FileBytes - offset)));
        return offset >= windowStart && offset < windowStart + windowLength
            ? window.AsSpan((int)(offset - windowStart), (int)(windowStart + windowLength - offset))
            : default;
    }

    /// <summary>Forgets what was read: the file may have been written meanwhile.</summary>
    internal void Invalidate()
    {
        windowLength = 0;
        FileBytes = file.SizeBytes;
    }

    bool TryLoad(long offset, int count)
    {
        if (offset >= windowStart && offset + count <= windowStart + windowLength)
            return true;
        if (offset + count > FileBytes)
            return false;
        if (count > window.Length)
        {
            ArrayPool<byte>.Shared.Return(window);
            window = ArrayPool<byte>.Shared.Rent(count);
        }
        windowStart = offset;
        windowLength = 0;
        windowLength = file.Read(offset, window.AsSpan(0, (int)Math.Min(window.Length, FileBytes - offset)));
        return windowLength >= count;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(window);
        window = [];
        windowLength = 0;
        file.Dispose();
    }
}
