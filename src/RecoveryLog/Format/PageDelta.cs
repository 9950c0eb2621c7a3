using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RecoveryVfs.RecoveryLog;

/// <summary>
/// The difference of two versions of a page, as byte ranges that are assigned: applying it twice, or on a page that already has it, changes
/// nothing more.
/// </summary>
/// <remarks>
/// A run of ranges: <c>varint gap</c> (bytes to skip since the end of the last range), <c>varint length</c> (at least 1), bytes. Ranges with fewer than
/// <see cref="MergeGap"/> equal bytes between them are one. Comparison runs over 8 bytes at a time: equal stretches, most of a page, cost
/// little more than reading them.
/// </remarks>
public static class PageDelta
{
    /// <summary>A gap shorter than this costs more as a gap than as bytes.</summary>
    const int MergeGap = 4;

    /// <summary>
    /// Writes the ranges in which <paramref name="after"/> differs; false when they would need more than
    /// <paramref name="destination"/> holds (the caller then takes the whole page). The pages have the same length.
    /// </summary>
    public static bool TryEncode(ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, Span<byte> destination, out int written)
    {
        written = 0;
        var lastEnd = 0;
        var start = NextDifference(before, after, 0);
        while (start < after.Length)
        {
            var end = EndOfRange(before, after, start, out var next);
            var length = end - start;
            if (destination.Length - written < length + 10) return false;
            written += Varint.Write(destination[written..], (uint)(start - lastEnd));
            written += Varint.Write(destination[written..], (uint)length);
            after.Slice(start, length).CopyTo(destination[written..]);
            written += length;
            lastEnd = end;
            start = next;
        }
        return true;
    }

    /// <summary>Assigns the ranges to a page; false when they do not fit it (damage).</summary>
    public static bool TryApply(ReadOnlySpan<byte> delta, Span<byte> page)
    {
        var at = 0L;
        while (!delta.IsEmpty)
        {
            if (!Varint.TryRead(ref delta, out var gap) || !Varint.TryRead(ref delta, out var length)) return false;
            at += gap;
            if (length == 0 || length > (uint)delta.Length || at + length > page.Length) return false;
            delta[..(int)length].CopyTo(page[(int)at..]);
            delta = delta[(int)length..];
            at += length;
        }
        return true;
    }

    static int NextDifference(ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, int at) =>
        at + before[at..].CommonPrefixLength(after[at..]);

    /// <summary>The end of the range that starts at a difference, and where the next one starts.</summary>
    static int EndOfRange(ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, int start, out int next)
    {
        ref var old = ref MemoryMarshal.GetReference(before);
        ref var fresh = ref MemoryMarshal.GetReference(after);
        var at = start + 1;
        while (true)
        {
            // Stretches that differ throughout go eight bytes at a time; a zero byte in the XOR is an equal byte.
            while (at + 8 <= after.Length)
            {
                var x = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref old, at)) ^ Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref fresh, at));
                var zeros = (x - 0x0101010101010101UL) & ~x & 0x8080808080808080UL;
                if (zeros == 0)
                {
                    at += 8;
                    continue;
                }
                at += BitOperations.TrailingZeroCount(zeros) >> 3;
                break;
            }
            while (at < after.Length && before[at] != after[at]) at++;
            next = NextDifference(before, after, at);
            if (next >= after.Length || next - at >= MergeGap) return at;
            at = next + 1;
        }
    }
}
