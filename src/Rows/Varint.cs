namespace RecoveryVfs.Rows;

/// <summary>
/// SQLite's integers of one to nine bytes: seven bits a byte, the highest first; the ninth byte has eight.
/// </summary>
internal static class Varint
{
    /// <summary>Reads one at <paramref name="at"/> and moves on; false when the bytes end before it does.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, ref int at, out ulong value)
    {
        var i = at;
        if ((uint)i < (uint)bytes.Length && bytes[i] < 0x80)
        {
            value = bytes[i];
            at = i + 1;
            return true;
        }
        return TryReadLong(bytes, ref at, out value);
    }

    static bool TryReadLong(ReadOnlySpan<byte> bytes, ref int at, out ulong value)
    {
        value = 0;
        for (var n = 0; n < 9; n++)
        {
            if ((uint)(at + n) >= (uint)bytes.Length) return false;
            var next = bytes[at + n];
            if (n == 8)
            {
                value = (value << 8) | next;
                at += 9;
                return true;
            }
            value = (value << 7) | (uint)(next & 0x7f);
            if (next >= 0x80) continue;
            at += n + 1;
            return true;
        }
        return false;
    }
}
