namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>LEB128: 7 bits a byte, low ones first, the top bit set on all but the last byte.</summary>
static class Varint64
{
    public const int MaxBytes = 10;

    public static int Write(Span<byte> to, ulong value)
    {
        int at = 0;
        for (; value >= 0x80; value >>= 7) to[at++] = (byte)(value | 0x80);
        to[at++] = (byte)value;
        return at;
    }

    /// <summary>
    /// Reads one; returns its size, 0 when the bytes end before it does, or -1 when it is longer than a u64.
    /// </summary>
    public static int Read(ReadOnlySpan<byte> from, out ulong value)
    {
        value = 0;
        for (int at = 0; at < MaxBytes; at++)
        {
            if (at == from.Length) return 0;
            byte b = from[at];
            if (at == MaxBytes - 1 && b > 1) return -1;
            value |= (ulong)(b & 0x7F) << (7 * at);
            if (b < 0x80) return at + 1;
        }
        return -1;
    }

    public static ulong ZigZag(long value) => (ulong)((value << 1) ^ (value >> 63));

    public static long UnZigZag(ulong value) => (long)(value >> 1) ^ -(long)(value & 1);
}
