using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>
/// CRC-32C (Castagnoli), by the processor's instruction. The instruction takes three cycles but one can start every
/// cycle, so long inputs run in three lanes whose results are joined by table.
/// </summary>
internal static class Crc32C
{
    /// <summary>Bytes of each lane; a block is three of them.</summary>
    const int LaneBytes = 1024;

    /// <summary>
    /// What a CRC register becomes when <see cref="LaneBytes"/> zero bytes follow: 4 tables of 256, by byte of the
    /// register.
    /// </summary>
    static readonly uint[] laneShift = BuildLaneShift();

    /// <summary>
    /// The checksum of the bytes; give an earlier result as <paramref name="crc"/> to go on from there.
    /// </summary>
    public static uint Compute(ReadOnlySpan<byte> bytes, uint crc = 0)
    {
        crc = ~crc;
        while (bytes.Length >= 3 * LaneBytes)
        {
            crc = Block(bytes, crc);
            bytes = bytes[(3 * LaneBytes)..];
        }
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words)
            crc = BitOperations.Crc32C(crc, word);
        foreach (var b in bytes[(words.Length * 8)..])
            crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }

    static uint Block(ReadOnlySpan<byte> bytes, uint crc)
    {
        ref var start = ref MemoryMarshal.GetReference(bytes);
        uint a = crc, b = 0, c = 0;
        for (var i = 0; i < LaneBytes; i += 8)
        {
            a = BitOperations.Crc32C(a, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, i)));
            b = BitOperations.Crc32C(b, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, i + LaneBytes)));
            c = BitOperations.Crc32C(c, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, i + 2 * LaneBytes)));
        }
        return Shift(Shift(a) ^ b) ^ c;
    }

    static uint Shift(uint crc)
    {
        var t = laneShift;
        return t[crc & 0xFF] ^ t[256 + ((crc >> 8) & 0xFF)] ^ t[512 + ((crc >> 16) & 0xFF)] ^ t[768 + (crc >> 24)];
    }

    static uint[] BuildLaneShift()
    {
        // The register's step over zero bytes is linear: the image of each bit gives the image of every value.
        Span<uint> bits = stackalloc uint[32];
        for (var bit = 0; bit < 32; bit++)
        {
            var crc = 1u << bit;
            for (var i = 0; i < LaneBytes; i += 8)
                crc = BitOperations.Crc32C(crc, 0UL);
            bits[bit] = crc;
        }
        var table = new uint[4 * 256];
        for (var i = 0; i < table.Length; i++)
            for (var bit = 0; bit < 8; bit++)
                if ((i & 0xFF & (1 << bit)) != 0)
                    table[i] ^= bits[(i >> 8) * 8 + bit];
        return table;
    }
}
