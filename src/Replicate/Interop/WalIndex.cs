using System.Runtime.InteropServices;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate.Interop;

/// <summary>
/// The WAL-index' header at the beginning of a read transaction, as <c>sqlite3_snapshot_get</c> copies it: what is
/// committed, and nothing that is not.
/// </summary>
/// <remarks>
/// <code>
///   0         4   8        12     13          14        16        20         24                32            40         48
///   | version | - | change | init | big-endian | page size | frames | pages | frame checksum | salts (as in the WAL) | checksum |
/// </code>
/// In the machine's byte order but for the salts. (https://sqlite.org/walformat.html)
/// </remarks>
internal readonly record struct WalIndex(uint Changes, int PageSize, uint Frames, uint SizePages, WalChecksum Checksum,
    WalSalt Salt)
{
    public const int SizeBytes = 48;

    public static WalIndex Read(ReadOnlySpan<byte> bytes)
    {
        int pageSize = MemoryMarshal.Read<ushort>(bytes[14..]);
        return new(
            MemoryMarshal.Read<uint>(bytes[8..]), pageSize == 1
                ? 65536
                : pageSize, MemoryMarshal.Read<uint>(bytes[16..]), MemoryMarshal.Read<uint>(bytes[20..]),
            new(MemoryMarshal.Read<uint>(bytes[24..]), MemoryMarshal.Read<uint>(bytes[28..])),
                WalSalt.Read(bytes[32..]));
    }
}
