using System.Buffers.Binary;

namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>One record as bytes, little-endian, at an offset divisible by 4.</summary>
/// <remarks>
/// <code>
///   0        4        8                16                              24        28
///   +--------+--------+----------------+-------------------------------+---------+--------···--+---------+
///   | length | crc32c | LSN            | time 48 | kind 8 | flags 8    |undurable| body        | 0 to 3  |
///   | u32    | u32    | u64            | one u64: low to high bits     | u32     | length bytes| zeros   |
///   +--------+--------+----------------+-------------------------------+---------+--------···--+---------+
/// </code>
/// <c>length</c> is the body's. <c>crc32c</c> goes over the length and then everything after the checksum, padding
/// included, and starts from a seed (in a segment: its identity, see <c>SegmentFormat</c>), so that the same bytes
/// elsewhere do not verify.
/// <c>time</c> is unix milliseconds. <c>undurable</c> is the LSN less the newest LSN known durable when this was
/// appended (saturating): it decides, when a bad record has good ones after it, between a window that power loss may
/// lose and damage. All zeros never is a record, since LSNs start at 1.
/// </remarks>
internal static class RecordFormat
{
    /// <summary>Bytes before the body.</summary>
    public const int HeaderBytes = 28;

    /// <summary>Records start at multiples of this.</summary>
    public const int Alignment = 4;

    /// <summary>
    /// The longest body. Larger things are split into groups; the bound keeps damaged lengths from being believed.
    /// </summary>
    public const int MaxBodyBytes = 64 << 20;

    const ulong TimeMask = (1UL << 48) - 1;

    /// <summary>The bytes that a record with such a body takes, padding included.</summary>
    public static int SizeOf(int bodyBytes) => (HeaderBytes + bodyBytes + Alignment - 1) & -Alignment;

    /// <summary>Padding bytes after such a body.</summary>
    public static int PaddingOf(int bodyBytes) => -bodyBytes & (Alignment - 1);

    /// <summary>
    /// Writes the header of a record whose body is <paramref name="a"/>, then <paramref name="b"/>, then
    /// <paramref name="c"/>. The caller writes the body and the zero padding.
    /// </summary>
    public static void WriteHeader(Span<byte> header, uint seed, ulong lsn, RecordKind kind, byte flags,
        long unixTimeMs,
        uint undurable, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b = default, ReadOnlySpan<byte> c = default)
    {
        var length = a.Length + b.Length + c.Length;
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], lsn);
        BinaryPrimitives.WriteUInt64LittleEndian(header[16..],
            ((ulong)unixTimeMs & TimeMask) | (ulong)kind << 48 | (ulong)flags << 56);
        BinaryPrimitives.WriteUInt32LittleEndian(header[24..], undurable);
        var crc = Crc32C.Compute(header[..4], seed);
        crc = Crc32C.Compute(header[8..HeaderBytes], crc);
        crc = Crc32C.Compute(a, crc);
        if (b.Length > 0)
            crc = Crc32C.Compute(b, crc);
        if (c.Length > 0)
            crc = Crc32C.Compute(c, crc);
        crc = Crc32C.Compute(Zeros[..PaddingOf(length)], crc);
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], crc);
    }

    /// <summary>Writes a whole record; returns its size. For those who make records outside a local log.</summary>
    public static int Write(Span<byte> destination, uint seed, ulong lsn, RecordKind kind, byte flags, long unixTimeMs,
        uint undurable, ReadOnlySpan<byte> body)
    {
        var size = SizeOf(body.Length);
        WriteHeader(destination, seed, lsn, kind, flags, unixTimeMs, undurable, body);
        body.CopyTo(destination[HeaderBytes..]);
        destination[(HeaderBytes + body.Length)..size].Clear();
        return size;
    }

    /// <summary>
    /// The length and LSN that a header claims; nothing is verified. Needs <see cref="HeaderBytes"/> bytes.
    /// </summary>
    public static (uint Length, ulong Lsn) Peek(ReadOnlySpan<byte> header) =>
        (BinaryPrimitives.ReadUInt32LittleEndian(header), BinaryPrimitives.ReadUInt64LittleEndian(header[8..]));

    /// <summary>
    /// Reads the record at the start of <paramref name="bytes"/>; false when none verifies there, whatever the bytes.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, uint seed, out Record record, out int sizeBytes)
    {
        record = default;
        sizeBytes = 0;
        if (bytes.Length < HeaderBytes)
            return false;
        var length = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (length > MaxBodyBytes || SizeOf((int)length) > bytes.Length)
            return false;
        var size = SizeOf((int)length);
        var crc = Crc32C.Compute(bytes[8..size], Crc32C.Compute(bytes[..4], seed));
        if (crc != BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]))
            return false;
        var lsn = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        var packed = BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]);
        if (lsn == 0)
            return false;
        record = new Record(lsn, (RecordKind)(byte)(packed >> 48), (byte)(packed >> 56), (long)(packed & TimeMask),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]), bytes.Slice(HeaderBytes, (int)length));
        sizeBytes = size;
        return true;
    }

    static ReadOnlySpan<byte> Zeros => [0, 0, 0, 0];
}
