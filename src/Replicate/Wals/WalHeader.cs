using System.Buffers.Binary;
using System.Numerics;

namespace RecoveryVfs.Replicate.Wals;

/// <summary>The two numbers that a WAL gets anew each time it begins again; each of its frames repeats them.</summary>
internal readonly record struct WalSalt(uint First, uint Second)
{
    /// <summary>As headers hold it.</summary>
    public static WalSalt Read(ReadOnlySpan<byte> bytes)
        => new(BinaryPrimitives.ReadUInt32BigEndian(bytes), BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]));
}

/// <summary>What the first bytes of a WAL say.</summary>
/// <remarks>
/// <code>
///   0       4         8           12           16      20      24          28         32
///   | magic | version | page size | checkpoint | salt1 | salt2 | checksum1 | checksum2 |        all big-endian
/// </code>
/// The last bit of the magic says in which byte order checksums read their words.
/// </remarks>
internal readonly record struct WalHeader(int PageSize, bool BigEndian, WalSalt Salt, WalChecksum Checksum)
{
    /// <summary>How long it is.</summary>
    public const int SizeBytes = 32;

    const uint Magic = 0x377f0682, Version = 3_007_000;

    /// <summary>Where the WAL's first frame begins to count.</summary>
    public WalPosition Start => new(Salt, PageSize, BigEndian, 0, Checksum);

    /// <summary>Reads it; null when SQLite would take the WAL for empty.</summary>
    public static WalHeader? TryParse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < SizeBytes) return null;
        var magic = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        var pageSize = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]);
        if ((magic & ~1u) != Magic || BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]) != Version) return null;
        if (pageSize is < 512 or > 65536 || !BitOperations.IsPow2(pageSize)) return null;
        var bigEndian = (magic & 1) != 0;
        var checksum = default(WalChecksum).Then(bytes[..24], bigEndian);
        return checksum == WalChecksum.Read(bytes[24..])
            ? new((int)pageSize, bigEndian, WalSalt.Read(bytes[16..]), checksum)
            : null;
    }
}
