using System.Buffers;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// The records of one verified remote segment, in order. Memory is bounded by the largest record that is really there, whatever lengths the bytes
/// claim.
/// </summary>
internal sealed class SegmentRecords : IDisposable
{
    const int FirstBufferBytes = 64 << 10;

    readonly RemoteSegmentHeader header;
    readonly string name;
    readonly Stream source;
    readonly ZstdReader? zstd;
    byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBufferBytes);
    int start, end;
    long left;
    ulong nextLsn;
    long timeMs;
    bool lastContinues;

    /// <summary>Reads a body from a stream that stands at its first byte; takes the stream over.</summary>
    internal SegmentRecords(RemoteSegmentHeader header, string name, Stream body)
    {
        (this.header, this.name, source) = (header, name, body);
        (left, nextLsn) = (header.BodyBytes, header.FirstLsn);
        if (header.IsCompressed) zstd = new ZstdReader(body);
    }

    /// <summary>
    /// The next record; false at the end. The view is valid until the next call. Throws Corrupt when the bytes are no records, or
    /// not as many as the header says.
    /// </summary>
    public bool TryRead(out Record record)
    {
        record = default;
        if (header.IsGap || nextLsn == header.NextLsn) return End();
        var (length, kind, flags, delta, size) = ReadRecordHeader();
        Need(size + length);
        timeMs += delta;
        record = new Record(nextLsn, kind, flags, timeMs, 0, buffer.AsSpan(start + size, length));
        start += size + length;
        lastContinues = record.Continues;
        nextLsn++;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        zstd?.Dispose();
        source.Dispose();
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
    }

    bool End()
    {
        if (header.IsGap) return false;
        if (start != end || left != 0) throw Damaged("there is more in it than its header says");
        if (lastContinues) throw Damaged("its last record group is not complete");
        return false;
    }

    (int Length, RecordKind Kind, byte Flags, long Delta, int Size) ReadRecordHeader()
    {
        Fill(RemoteSegmentFormat.MaxRecordHeaderBytes);
        var from = buffer.AsSpan(start, end - start);
        int at = Varint64.Read(from, out ulong length);
        if (at <= 0 || length > RecordFormat.MaxBodyBytes || from.Length < at + 3) throw Damaged($"there is no record for LSN {nextLsn}");
        var (kind, flags) = ((RecordKind)from[at], from[at + 1]);
        int time = Varint64.Read(from[(at + 2)..], out ulong delta);
        if (time <= 0) throw Damaged($"there is no record for LSN {nextLsn}");
        return ((int)length, kind, flags, Varint64.UnZigZag(delta), at + 2 + time);
    }

    void Need(int bytes)
    {
        Fill(bytes);
        if (end - start < bytes) throw Damaged($"it ends inside the record with LSN {nextLsn}");
    }

    /// <summary>Has so many bytes in the buffer, or all that are left. The buffer grows only as bytes really come.</summary>
    void Fill(int bytes)
    {
        while (end - start < bytes && left > 0)
        {
            if (start > 0 && (start == end || buffer.Length - start < bytes))
            {
                buffer.AsSpan(start, end - start).CopyTo(buffer);
                (start, end) = (0, end - start);
            }
            if (end == buffer.Length) Grow();
            int got = Read(buffer.AsSpan(end, (int)Math.Min(buffer.Length - end, left)));
            if (got == 0) throw Damaged("it holds fewer bytes than its header says");
            (end, left) = (end + got, left - got);
        }
    }

    void Grow()
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        buffer.AsSpan(0, end).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }

    int Read(Span<byte> to)
    {
        try { return zstd is not null ? zstd.Read(to) : source.Read(to); }
        catch (InvalidDataException e) { throw RemoteFormat.Damaged(name, e.Message, e); }
    }

    RecoveryException Damaged(string why) => RemoteFormat.Damaged(name, why);
}
