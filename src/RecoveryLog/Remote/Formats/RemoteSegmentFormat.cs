using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>What the header of a remote segment says.</summary>
internal readonly record struct RemoteSegmentHeader
{
    /// <summary>The log that it is part of.</summary>
    public required Guid LogId { get; init; }
    /// <summary>The tenure under which it was created.</summary>
    public required ulong Epoch { get; init; }
    /// <summary>The writer that created it.</summary>
    public required ulong Author { get; init; }
    /// <summary>The LSN of its first record: also its name.</summary>
    public required ulong FirstLsn { get; init; }
    /// <summary>How many LSNs it covers, at least 1.</summary>
    public required ulong Count { get; init; }
    /// <summary>The earliest time of a record in it, unix milliseconds.</summary>
    public required long FirstTimeMs { get; init; }
    /// <summary>The latest time of a record in it, unix milliseconds.</summary>
    public required long LastTimeMs { get; init; }
    /// <summary>Bytes of the records before compression.</summary>
    public required long BodyBytes { get; init; }
    /// <summary>The hash of the segment before; zeros for the first of a log.</summary>
    public required ObjectHash Previous { get; init; }
    /// <summary>
    /// It holds no records: the log goes on after it from newer hints (shipping had to start afresh).
    /// </summary>
    public bool IsGap { get; init; }
    /// <summary>The body is one zstd frame; else the bytes as they are.</summary>
    public bool IsCompressed { get; init; }

    /// <summary>The LSN of its last record.</summary>
    public ulong LastLsn => FirstLsn + Count - 1;

    /// <summary>The LSN at which the next segment starts.</summary>
    public ulong NextLsn => FirstLsn + Count;
}

/// <summary>A remote segment, little-endian: the object <c>log/&lt;first LSN, 16 hex&gt;</c>.</summary>
/// <remarks>
/// <code>
///    0     4       6     8        24     32      40     48     56      64      72      80         112
///    +-----+-------+-----+--------+------+-------+------+------+-------+-------+-------+----------+---···---+----------+
///    |magic|version|flags| log id |epoch |author |first |count |first  |last   |body   | previous | body    | SHA-256  |
///    |     |  u16  | u16 | 16 b   | u64  | u64   |LSN   | u64  |time   |time   |bytes  | 32 bytes |         | 32 bytes |
///    +-----+-------+-----+--------+------+-------+------+------+-------+-------+-------+----------+---···---+----------+
/// </code>
/// flags: 1 = the body is one zstd frame (window at most 2 MiB; a body that would not shrink is stored as it is), 2 =
/// gap: no body. Times are unix milliseconds, the least and the greatest of the records'. <c>body bytes</c> is the size
/// of the body before compression. The trailer is the SHA-256 of everything before it, and is what the next segment
/// calls <c>previous</c>.
///
/// The body is <c>count</c> records one after another, the first with the LSN <c>first</c>, each one more than the
/// last:
/// <code>
///    +-------------+------+-------+------------------------------------------+--------···--+
///    | body length | kind | flags | time, less that of the record before     | body        |
///    | varint      | u8   | u8    | (the first: itself), zigzag varint       |             |
///    +-------------+------+-------+------------------------------------------+--------···--+
/// </code>
/// Varints are LEB128: 7 bits a byte, low ones first. A record group never crosses a segment: the last record has no
/// <c>continues</c> flag. 144 bytes stand around the body: one small commit makes an object of about 300.
/// </remarks>
internal static class RemoteSegmentFormat
{
    /// <summary>Bytes before the body.</summary>
    public const int HeaderBytes = 112;

    /// <summary>Bytes after the body.</summary>
    public const int TrailerBytes = 32;

    /// <summary>The newest version this software knows.</summary>
    public const ushort Version = 1;

    /// <summary>The most bytes that a record takes before its body.</summary>
    public const int MaxRecordHeaderBytes = 5 + 1 + 1 + 10;

    /// <summary>Bodies larger than this are not believed: 16 TiB.</summary>
    const long MaxSegmentBodyBytes = 1L << 44;

    const ushort CompressedFlag = 1, GapFlag = 2;

    /// <summary>The first 4 bytes.</summary>
    public static ReadOnlySpan<byte> Magic => "RVSG"u8;

    /// <summary>Writes a header.</summary>
    public static void WriteHeader(Span<byte> to, in RemoteSegmentHeader header)
    {
        Magic.CopyTo(to);
        BinaryPrimitives.WriteUInt16LittleEndian(to[4..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(to[6..],
            (ushort)((header.IsCompressed ? CompressedFlag : 0) | (header.IsGap ? GapFlag : 0)));
        header.LogId.TryWriteBytes(to[8..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(to[24..], header.Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(to[32..], header.Author);
        BinaryPrimitives.WriteUInt64LittleEndian(to[40..], header.FirstLsn);
        BinaryPrimitives.WriteUInt64LittleEndian(to[48..], header.Count);
        BinaryPrimitives.WriteInt64LittleEndian(to[56..], header.FirstTimeMs);
        BinaryPrimitives.WriteInt64LittleEndian(to[64..], header.LastTimeMs);
        BinaryPrimitives.WriteInt64LittleEndian(to[72..], header.BodyBytes);
        header.Previous.CopyTo(to[80..]);
    }

    /// <summary>
    /// Reads a header of at least <see cref="HeaderBytes"/> bytes. Throws Corrupt or TooNew, naming
    /// <paramref name="name"/>.
    /// </summary>
    public static RemoteSegmentHeader ReadHeader(ReadOnlySpan<byte> from, string name)
    {
        if (from.Length < HeaderBytes || !from[..4].SequenceEqual(Magic)) throw Damaged(name, "it is not a segment");
        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(from[4..]),
            flags = BinaryPrimitives.ReadUInt16LittleEndian(from[6..]);
        if (version > Version) throw RemoteFormat.TooNew(name, version, Version);
        if (version == 0 || (flags & ~(CompressedFlag | GapFlag)) != 0)
            throw Damaged(name, "its version or flags make no sense");
        var header = new RemoteSegmentHeader
        {
            LogId = new Guid(from.Slice(8, 16), bigEndian: true),
            Epoch = BinaryPrimitives.ReadUInt64LittleEndian(from[24..]),
            Author = BinaryPrimitives.ReadUInt64LittleEndian(from[32..]),
            FirstLsn = BinaryPrimitives.ReadUInt64LittleEndian(from[40..]),
            Count = BinaryPrimitives.ReadUInt64LittleEndian(from[48..]),
            FirstTimeMs = BinaryPrimitives.ReadInt64LittleEndian(from[56..]),
            LastTimeMs = BinaryPrimitives.ReadInt64LittleEndian(from[64..]),
            BodyBytes = BinaryPrimitives.ReadInt64LittleEndian(from[72..]),
            Previous = new ObjectHash(from.Slice(80, 32)),
            IsGap = (flags & GapFlag) != 0,
            IsCompressed = (flags & CompressedFlag) != 0,
        };
        if (header.FirstLsn == 0 || header.Count == 0 || header.FirstLsn + header.Count < header.FirstLsn)
            throw Damaged(name, "its LSNs make no sense");
        if (header.BodyBytes is < 0 or > MaxSegmentBodyBytes || header.IsGap && header.BodyBytes != 0)
            throw Damaged(name, "its size makes no sense");
        return header;
    }

    /// <summary>
    /// Writes what stands before a record's body; returns its size (at most <see cref="MaxRecordHeaderBytes"/>).
    /// </summary>
    public static int WriteRecordHeader(Span<byte> to, in Record record, long previousTimeMs)
    {
        int at = Varint64.Write(to, (uint)record.Body.Length);
        to[at++] = (byte)record.Kind;
        to[at++] = record.Flags;
        return at + Varint64.Write(to[at..], Varint64.ZigZag(record.UnixTimeMs - previousTimeMs));
    }

    internal static RecoveryException Damaged(string name, string why) => RemoteFormat.Damaged(name, why);
}
