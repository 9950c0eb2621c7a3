using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.FollowedDirectories;

/// <summary>
/// Records that were received and are in no file yet, in order, on the disk: what becomes of them may be known only
/// later. They can be read more than once; nothing of them is needed after a restart. Used by one thread.
/// </summary>
/// <remarks>
/// <code>
///  0     8      16          20       24     25      26
///  +-----+------+-----------+--------+------+-------+------+
///  | LSN | time | undurable | length | kind | flags | body |      little-endian
///  +-----+------+-----------+--------+------+-------+------+
/// </code>
/// </remarks>
internal sealed class PendingRecords(ILogDisk disk, string path) : IDisposable
{
    const int TimeAt = 8, UndurableAt = 16, LengthAt = 20, KindAt = 24, FlagsAt = 25, HeadBytes = 26;
    const int BufferBytes = 128 << 10;

    readonly ILogFile file = disk.Open(path, LogFileMode.Create);
    readonly byte[] buffer = new byte[BufferBytes];
    long start, end;
    int buffered;

    /// <summary>Keeps one more.</summary>
    public void Add(in Record record)
    {
        Span<byte> head = stackalloc byte[HeadBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(head, record.Lsn);
        BinaryPrimitives.WriteInt64LittleEndian(head[TimeAt..], record.UnixTimeMs);
        BinaryPrimitives.WriteUInt32LittleEndian(head[UndurableAt..], record.Undurable);
        BinaryPrimitives.WriteInt32LittleEndian(head[LengthAt..], record.Body.Length);
        head[KindAt] = (byte)record.Kind;
        head[FlagsAt] = record.Flags;
        Append(head);
        Append(record.Body);
    }

    void Append(ReadOnlySpan<byte> bytes)
    {
        if (buffered + bytes.Length > buffer.Length) WriteOut();
        if (bytes.Length > buffer.Length)
        {
            file.Write(end, bytes);
            end += bytes.Length;
            return;
        }
        bytes.CopyTo(buffer.AsSpan(buffered));
        buffered += bytes.Length;
    }

    void WriteOut()
    {
        file.Write(end, buffer.AsSpan(0, buffered));
        end += buffered;
        buffered = 0;
    }

    /// <summary>Reads those up to an LSN, and says where the next one begins.</summary>
    public long Read(ulong lastLsn, RecordTaken take)
    {
        WriteOut();
        Span<byte> head = stackalloc byte[HeadBytes];
        var body = new byte[BufferBytes];
        var at = start;
        while (at < end)
        {
            ReadExactly(at, head);
            var lsn = BinaryPrimitives.ReadUInt64LittleEndian(head);
            if (lsn > lastLsn) break;
            var length = BinaryPrimitives.ReadInt32LittleEndian(head[LengthAt..]);
            if (body.Length < length) body = new byte[length];
            ReadExactly(at + HeadBytes, body.AsSpan(0, length));
            at += HeadBytes + length;
            take(new Record(lsn, (RecordKind)head[KindAt], head[FlagsAt],
                BinaryPrimitives.ReadInt64LittleEndian(head[TimeAt..]),
                BinaryPrimitives.ReadUInt32LittleEndian(head[UndurableAt..]), body.AsSpan(0, length)));
        }
        return at;
    }

    void ReadExactly(long at, Span<byte> bytes)
    {
        if (file.Read(at, bytes) != bytes.Length)
            throw new InvalidOperationException($"{file.Path} became shorter: somebody else wrote to it.");
    }

    /// <summary>Those before a place that <see cref="Read"/> returned are in files.</summary>
    public void DropBefore(long place)
    {
        start = place;
        // What is left goes to the front when that frees at least as much as it copies.
        if (end - start > start) return;
        var part = new byte[BufferBytes];
        var to = 0L;
        while (start < end)
        {
            var count = (int)Math.Min(part.Length, end - start);
            ReadExactly(start, part.AsSpan(0, count));
            file.Write(to, part.AsSpan(0, count));
            (start, to) = (start + count, to + count);
        }
        (start, end) = (0, to);
        file.Truncate(end);
    }

    public void Dispose() => file.Dispose();
}
