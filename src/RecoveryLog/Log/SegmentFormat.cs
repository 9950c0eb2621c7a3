using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>The header of a local segment file, little-endian; records follow it, from offset 64 on.</summary>
/// <remarks>
/// <code>
///   0       8         12       16            32       40        48         56        60       64
///   +-------+---------+--------+-------------+--------+---------+----------+---------+--------+----···
///   | magic | version | zero   | log id      | epoch  | segment | first    | zero    | crc32c | records
///   | u64   | u32     | u32    | 16 bytes    | u64    | no. u64 | LSN u64  | u32     | u32    |
///   +-------+---------+--------+-------------+--------+---------+----------+---------+--------+----···
/// </code>
/// <c>crc32c</c> goes over the first 60 bytes. The CRC-32C of bytes 16 to 55 (log id, epoch, segment number, first LSN:
/// the segment's identity) seeds the checksums of its records: the bytes of another log, of another tenure, or of the
/// segment that lived in this file before it was recycled never verify. The file is prewritten; records end where they
/// stop verifying.
/// </remarks>
internal static class SegmentFormat
{
    /// <summary>Bytes before the first record.</summary>
    public const int HeaderBytes = 64;

    /// <summary>The newest version this software knows.</summary>
    public const uint Version = 1;

    /// <summary>The first 8 bytes: "RVFSLOG" and a line end.</summary>
    public static ReadOnlySpan<byte> Magic => "RVFSLOG\n"u8;

    /// <summary>The name of the file of the segment that starts at an LSN.</summary>
    public static string FileName(ulong firstLsn) => firstLsn.ToString("x16") + ".log";

    /// <summary>Whether a file name is a segment's, and at which LSN it starts.</summary>
    public static bool TryParseFileName(string name, out ulong firstLsn)
    {
        firstLsn = 0;
        return name.Length == 20 && name.EndsWith(".log", StringComparison.Ordinal)
            && ulong.TryParse(name.AsSpan(0, 16), System.Globalization.NumberStyles.AllowHexSpecifier, null,
            out firstLsn)
            && FileName(firstLsn) == name;
    }

    /// <summary>Writes a header.</summary>
    public static void Write(Span<byte> destination, in SegmentHeader header)
    {
        var d = destination[..HeaderBytes];
        d.Clear();
        Magic.CopyTo(d);
        BinaryPrimitives.WriteUInt32LittleEndian(d[8..], Version);
        header.LogId.TryWriteBytes(d[16..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(d[32..], header.Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(d[40..], header.Number);
        BinaryPrimitives.WriteUInt64LittleEndian(d[48..], header.FirstLsn);
        BinaryPrimitives.WriteUInt32LittleEndian(d[60..], Crc32C.Compute(d[..60]));
    }

    /// <summary>
    /// Reads and verifies a header; <paramref name="path"/> is for the message when it does not verify.
    /// </summary>
    public static SegmentHeader Read(ReadOnlySpan<byte> bytes, string path)
    {
        if (bytes.Length < HeaderBytes || !bytes[..8].SequenceEqual(Magic))
            throw Damaged(path, "does not start with a log segment's header");
        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        if (version > Version)
            throw new RecoveryException(RecoveryError.TooNew,
                $"{path} is a log segment of format {version}; this version knows up to {Version}.",
                "Upgrade RecoveryVfs to read it.")
            { Path = path };
        if (version == 0 || Crc32C.Compute(bytes[..60]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[60..]))
            throw Damaged(path, "has a damaged header (its checksum is wrong at offset 60)");
        return new SegmentHeader(new Guid(bytes[16..32], bigEndian: true),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]), BinaryPrimitives.ReadUInt64LittleEndian(bytes[48..]));
    }

    static RecoveryException Damaged(string path, string what) => new(RecoveryError.Corrupt,
        $"{path} {what}.",
        "Restore the store from its remote; keep the directory for a look at what happened.")
    { Path = path };
}

/// <summary>What makes a segment this segment.</summary>
internal readonly record struct SegmentHeader(Guid LogId, ulong Epoch, ulong Number, ulong FirstLsn)
{
    /// <summary>The seed of its records' checksums.</summary>
    public uint Seed
    {
        get
        {
            Span<byte> bytes = stackalloc byte[SegmentFormat.HeaderBytes];
            SegmentFormat.Write(bytes, this);
            return Crc32C.Compute(bytes[16..56]);
        }
    }
}
