using System.Buffers;
using System.IO.Pipelines;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// The records of one verified remote segment, in order. Memory is bounded by the largest record that is really there,
/// whatever lengths the bytes claim.
/// </summary>
internal sealed class SegmentRecords : IDisposable
{
    static readonly StreamPipeReaderOptions plainBlocks = new(bufferSize: 64 << 10, minimumReadSize: 4 << 10);

    readonly RemoteSegmentHeader header;
    readonly string name;
    readonly PipeReader plain;
    // What the pipe has given and was not taken yet. It is advanced when this runs out.
    ReadOnlySequence<byte> unread;
    // A record that begins in one block and ends in another.
    byte[] joined = [];
    long taken;
    ulong nextLsn;
    long timeMs;
    bool lastContinues, hasRead, isOpen = true;

    /// <summary>
    /// Reads a body from its first byte; takes the source over, whose bytes are there when they are asked for.
    /// </summary>
    internal SegmentRecords(RemoteSegmentHeader header, string name, PipeReader body)
    {
        (this.header, this.name, nextLsn) = (header, name, header.FirstLsn);
        plain = header.IsCompressed ? PipeReader.Create(new ZstdReader(body), plainBlocks) : body;
    }

    /// <summary>
    /// The next record; false at the end. The view is valid until the next call. Throws Corrupt when the bytes are no
    /// records, or not as many as the header says.
    /// </summary>
    public bool TryRead(out Record record)
    {
        record = default;
        if (header.IsGap || nextLsn == header.NextLsn) return End();
        var start = Next(RemoteSegmentFormat.MaxRecordHeaderBytes, mayBeLess: true);
        var (length, kind, flags, delta, size) = ReadRecordHeader(start);
        var all = start.Length >= size + length ? start : Next(size + length);
        timeMs += delta;
        record = new Record(nextLsn, kind, flags, timeMs, 0, all.Slice(size, length));
        unread = unread.Slice(size + length);
        taken += size + length;
        lastContinues = record.Continues;
        nextLsn++;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!isOpen) return;
        isOpen = false;
        plain.Complete();
        if (joined.Length > 0) ArrayPool<byte>.Shared.Return(joined);
    }

    bool End()
    {
        if (header.IsGap) return false;
        if (taken != header.BodyBytes) throw Damaged("there is more in it than its header says");
        if (lastContinues) throw Damaged("its last record group is not complete");
        return false;
    }

    (int Length, RecordKind Kind, byte Flags, long Delta, int Size) ReadRecordHeader(ReadOnlySpan<byte> from)
    {
        int at = Varint64.Read(from, out ulong length);
        if (at <= 0 || length > RecordFormat.MaxBodyBytes || from.Length < at + 3)
            throw Damaged($"there is no record for LSN {nextLsn}");
        var (kind, flags) = ((RecordKind)from[at], from[at + 1]);
        int time = Varint64.Read(from[(at + 2)..], out ulong delta);
        if (time <= 0) throw Damaged($"there is no record for LSN {nextLsn}");
        return ((int)length, kind, flags, Varint64.UnZigZag(delta), at + 2 + time);
    }

    /// <summary>
    /// The next bytes in one piece, so many at least; nothing is taken. Only at the end of the body there may be less.
    /// </summary>
    ReadOnlySpan<byte> Next(int bytes, bool mayBeLess = false)
    {
        var first = unread.FirstSpan;
        if (first.Length >= bytes) return first;
        long left = header.BodyBytes - taken;
        if (left < bytes)
        {
            if (!mayBeLess) throw Damaged($"it ends inside the record with LSN {nextLsn}");
            bytes = (int)left;
        }
        if (unread.Length < bytes) Fetch(bytes);
        first = unread.FirstSpan;
        return first.Length >= bytes ? first : Join(bytes);
    }

    /// <summary>Block by block, so that memory grows with the bytes that come and not with what was claimed.</summary>
    void Fetch(int bytes)
    {
        try
        {
            while (unread.Length < bytes)
            {
                if (hasRead) plain.AdvanceTo(unread.Start, unread.End);
                hasRead = true;
                var read = plain.ReadNow();
                unread = read.Buffer;
                if (read.IsCompleted && unread.Length < bytes)
                    throw Damaged("it holds fewer bytes than its header says");
            }
        }
        catch (InvalidDataException e) { throw RemoteFormat.Damaged(name, e.Message, e); }
    }

    ReadOnlySpan<byte> Join(int bytes)
    {
        if (joined.Length < bytes)
        {
            if (joined.Length > 0) ArrayPool<byte>.Shared.Return(joined);
            joined = ArrayPool<byte>.Shared.Rent(bytes);
        }
        unread.Slice(0, bytes).CopyTo(joined);
        return joined.AsSpan(0, bytes);
    }

    RecoveryException Damaged(string why) => RemoteFormat.Damaged(name, why);
}
