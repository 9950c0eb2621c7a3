using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>
/// XXH64, the hash of pages in database checksums: four independent lanes of eight bytes, about 14 GB/s.
/// </summary>
/// <remarks>
/// System.IO.Hashing computes the same (a test compares), as fast under the JIT. Compiled ahead of time, as the
/// extension is, it takes 0.79 us for a page of 4 KiB, and this one 0.28.
/// </remarks>
internal static class XxHash64
{
    const ulong P1 = 0x9E3779B185EBCA87, P2 = 0xC2B2AE3D27D4EB4F, P3 = 0x165667B19E3779F9, P4 = 0x85EBCA77C2B2AE63,
        P5 = 0x27D4EB2F165667C5;

    /// <summary>The hash of the bytes under a seed.</summary>
    public static ulong Compute(ReadOnlySpan<byte> bytes, ulong seed = 0)
    {
        ref var p = ref MemoryMarshal.GetReference(bytes);
        nint i = 0, length = bytes.Length;
        ulong hash;
        if (length >= 32)
        {
            ulong a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
            for (; i <= length - 32; i += 32)
            {
                a = Round(a, Word(ref p, i));
                b = Round(b, Word(ref p, i + 8));
                c = Round(c, Word(ref p, i + 16));
                d = Round(d, Word(ref p, i + 24));
            }
            hash = BitOperations.RotateLeft(a, 1) + BitOperations.RotateLeft(b, 7) + BitOperations.RotateLeft(c, 12)
                + BitOperations.RotateLeft(d, 18);
            hash = Merge(Merge(Merge(Merge(hash, a), b), c), d);
        }
        else
            hash = seed + P5;

        hash += (ulong)length;
        for (; i <= length - 8; i += 8)
            hash = BitOperations.RotateLeft(hash ^ Round(0, Word(ref p, i)), 27) * P1 + P4;
        if (i <= length - 4)
        {
            hash = BitOperations.RotateLeft(hash ^ (Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref p, i)) * P1), 23) * P2
                + P3;
            i += 4;
        }
        for (; i < length; i++)
            hash = BitOperations.RotateLeft(hash ^ (Unsafe.Add(ref p, i) * P5), 11) * P1;

        hash = (hash ^ (hash >> 33)) * P2;
        hash = (hash ^ (hash >> 29)) * P3;
        return hash ^ (hash >> 32);
    }

    // Every read stays within the span: the loops above end before length.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static ulong Word(ref byte p, nint i) => Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref p, i));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static ulong Round(ulong lane, ulong word) => BitOperations.RotateLeft(lane + word * P2, 31) * P1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static ulong Merge(ulong hash, ulong lane) => (hash ^ Round(0, lane)) * P1 + P4;
}
