using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace RecoveryVfs.Replicate.Wals;

/// <summary>
/// The running checksum of a WAL: over pairs of 32-bit words, in the byte order that the WAL's magic names. Each
/// frame's continues that of the frame before.
/// </summary>
internal readonly record struct WalChecksum(uint First, uint Second)
{
    /// <summary>The checksum after more bytes; their number is a multiple of 8.</summary>
    public WalChecksum Then(ReadOnlySpan<byte> bytes, bool bigEndian)
    {
        var (first, second) = (First, Second);
        var words = MemoryMarshal.Cast<byte, uint>(bytes);
        if (bigEndian != BitConverter.IsLittleEndian)
            for (var i = 0; i + 1 < words.Length; i += 2)
            {
                first += words[i] + second;
                second += words[i + 1] + first;
            }
        else
            for (var i = 0; i + 1 < words.Length; i += 2)
            {
                first += BinaryPrimitives.ReverseEndianness(words[i]) + second;
                second += BinaryPrimitives.ReverseEndianness(words[i + 1]) + first;
            }
        return new(first, second);
    }

    /// <summary>As headers hold it.</summary>
    public static WalChecksum Read(ReadOnlySpan<byte> bytes)
        => new(BinaryPrimitives.ReadUInt32BigEndian(bytes), BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]));
}
