namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>Unsigned LEB128: seven bits a byte, lowest first, the high bit set on all but the last.</summary>
internal static class Varint
{
    internal const int MaxBytes32 = 5;

    internal static int Write(Span<byte> to, uint value)
    {
        var n = 0;
        for (; value >= 0x80; value >>= 7)
            to[n++] = (byte)(value | 0x80);
        to[n++] = (byte)value;
        return n;
    }

    /// <summary>Reads a number and moves past it; false when the bytes end, or it has more than 32 bits.</summary>
    internal static bool TryRead(ref ReadOnlySpan<byte> from, out uint value)
    {
        value = 0;
        for (var i = 0; i < Math.Min(MaxBytes32, from.Length); i++)
        {
            var b = from[i];
            if (i == MaxBytes32 - 1 && b > 0x0F)
                return false;
            value |= (uint)(b & 0x7F) << (7 * i);
            if (b < 0x80)
            {
                from = from[(i + 1)..];
                return true;
            }
        }
        return false;
    }
}
