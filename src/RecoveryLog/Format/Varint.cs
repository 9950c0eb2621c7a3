namespace RecoveryVfs.RecoveryLog;

/// <summary>Unsigned numbers of up to 32 bits in as few bytes as they need: seven bits a byte, low ones first, the high bit says that more follow.</summary>
public static class Varint
{
    /// <summary>The longest one.</summary>
    public const int MaxBytes = 5;

    /// <summary>Writes a number; returns how many bytes it took.</summary>
    public static int Write(Span<byte> destination, uint value)
    {
        var at = 0;
        while (value >= 0x80)
        {
            destination[at++] = (byte)(value | 0x80);
            value >>= 7;
        }
        destination[at++] = (byte)value;
        return at;
    }

    /// <summary>Reads a number and moves on; false when there is none (too short, or more than 32 bits).</summary>
    public static bool TryRead(ref ReadOnlySpan<byte> source, out uint value)
    {
        value = 0;
        for (var i = 0; i < MaxBytes && i < source.Length; i++)
        {
            var b = source[i];
            if (i == MaxBytes - 1 && b > 0x0F) return false;
            value |= (uint)(b & 0x7F) << (7 * i);
            if (b < 0x80)
            {
                source = source[(i + 1)..];
                return true;
            }
        }
        return false;
    }
}
