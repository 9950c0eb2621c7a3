using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>A page as the byte ranges in which it differs from its previous version.</summary>
/// <remarks>
/// <code>
///   +-----------+-----------------------------------------+----···
///   | count     | gap       | length ≥ 1 | length bytes   | next range
///   | varint    | varint    | varint     |                |
///   +-----------+-----------------------------------------+----···
/// </code>
/// <c>gap</c> is counted from the end of the range before (from 0 for the first). The ranges are assignments, so
/// applying them twice, or to a page that has them already, gives the same page.
/// </remarks>
internal static class PageDelta
{
    /// <summary>Equal bytes between two ranges that are cheaper to repeat than a new range's gap and length.</summary>
    const int MergeGapBytes = 4;

    /// <summary>
    /// Writes the ranges in which <paramref name="newer"/> differs from <paramref name="older"/> (of the same length,
    /// at most 65,536 bytes); false when that takes more than half a page or than the destination has, and the page is
    /// better written whole. No allocation; one pass that looks at 64 bytes at a time.
    /// </summary>
    public static bool TryEncode(ReadOnlySpan<byte> older, ReadOnlySpan<byte> newer, Span<byte> destination,
        out int written)
    {
        written = 0;
        if (older.Length != newer.Length)
            return false;
        var ranges = new RangeWriter(newer, destination[..Math.Min(destination.Length, newer.Length / 2)]);
        ref var x = ref MemoryMarshal.GetReference(older);
        ref var y = ref MemoryMarshal.GetReference(newer);
        var at = 0;
        for (; at + 64 <= newer.Length; at += 64)
        {
            // At most 64 bytes from `at` are read, which the loop keeps within both spans.
            var differing = Differing(ref x, ref y, at) | (ulong)Differing(ref x, ref y, at + 32) << 32;
            if (differing != 0 && !ranges.TryAddAll(differing, at))
                return false;
        }
        for (; at < newer.Length; at++)
            if (older[at] != newer[at] && !ranges.TryAdd(at, at + 1))
                return false;
        return ranges.TryFinish(out written);
    }

    /// <summary>Gathers differing stretches into ranges, and writes each once it cannot grow any more.</summary>
    ref struct RangeWriter(ReadOnlySpan<byte> newer, Span<byte> to)
    {
        // The count comes first but is known last: room for its longest form, and the rest is moved when it is shorter.
        const int CountBytes = 3;

        readonly ReadOnlySpan<byte> newer = newer;
        readonly Span<byte> to = to;
        int used = CountBytes, count, start = -1, end, previousEnd;

        internal bool TryAddAll(ulong differing, int at)
        {
            while (differing != 0)
            {
                var first = BitOperations.TrailingZeroCount(differing);
                var length = BitOperations.TrailingZeroCount(~(differing >> first));
                if (!TryAdd(at + first, at + first + length))
                    return false;
                var beyond = first + length;
                differing = beyond == 64 ? 0 : differing >> beyond << beyond;
            }
            return true;
        }

        internal bool TryAdd(int from, int to)
        {
            if (start >= 0 && from - end >= MergeGapBytes)
            {
                if (!TryWrite())
                    return false;
                start = -1;
            }
            if (start < 0)
                start = from;
            end = to;
            return true;
        }

        bool TryWrite()
        {
            var length = end - start;
            if (used + 2 * CountBytes + length > to.Length)
                return false;
            used += Varint.Write(to[used..], (uint)(start - previousEnd));
            used += Varint.Write(to[used..], (uint)length);
            newer.Slice(start, length).CopyTo(to[used..]);
            used += length;
            previousEnd = end;
            count++;
            return true;
        }

        internal bool TryFinish(out int written)
        {
            written = 0;
            if ((start >= 0 && !TryWrite()) || to.Length < CountBytes)
                return false;
            var countBytes = Varint.Write(to, (uint)count);
            if (countBytes < CountBytes)
                to[CountBytes..used].CopyTo(to[countBytes..]);
            written = used - (CountBytes - countBytes);
            return true;
        }
    }

    /// <summary>
    /// Whether a delta is well-formed for a page of so many bytes, and how long it is. The delta starts at the start of
    /// <paramref name="bytes"/>, which may go on behind it.
    /// </summary>
    public static bool TryMeasure(ReadOnlySpan<byte> bytes, int pageBytes, out int deltaBytes)
    {
        var rest = bytes;
        deltaBytes = 0;
        if (!Varint.TryRead(ref rest, out var count))
            return false;
        long position = 0;
        for (uint i = 0; i < count; i++)
        {
            if (!Varint.TryRead(ref rest, out var gap) || !Varint.TryRead(ref rest, out var length) || length == 0)
                return false;
            position += (long)gap + length;
            if (position > pageBytes || length > rest.Length)
                return false;
            rest = rest[(int)length..];
        }
        deltaBytes = bytes.Length - rest.Length;
        return true;
    }

    /// <summary>Applies a delta that <see cref="TryMeasure"/> accepted for a page of this length.</summary>
    public static void Apply(ReadOnlySpan<byte> delta, Span<byte> page)
    {
        Varint.TryRead(ref delta, out var count);
        var position = 0;
        for (; count > 0; count--)
        {
            Varint.TryRead(ref delta, out var gap);
            Varint.TryRead(ref delta, out var length);
            position += (int)gap;
            delta[..(int)length].CopyTo(page[position..]);
            position += (int)length;
            delta = delta[(int)length..];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static uint Differing(ref byte x, ref byte y, int i) =>
        ~Vector256.Equals(Vector256.LoadUnsafe(ref x, (nuint)i), Vector256.LoadUnsafe(ref y, (nuint)i))
            .ExtractMostSignificantBits();
}
