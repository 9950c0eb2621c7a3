namespace RecoveryVfs.RocksDb;

/// <summary>
/// The slots that Redis Cluster divides keys into: CRC16 (XMODEM) of the key, or of its part between the first
/// <c>{</c> and the next <c>}</c> where that is not empty, modulo their number.
/// </summary>
public static class KeySlots
{
    /// <summary>How many there are in a Redis Cluster.</summary>
    public const int Count = 16384;

    /// <summary>The slot of a key.</summary>
    public static int Of(ReadOnlySpan<byte> key, int count = Count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        if (key.IndexOf((byte)'{') is var open and >= 0
            && key[(open + 1)..].IndexOf((byte)'}') is var length and > 0)
            key = key.Slice(open + 1, length);
        var crc = 0;
        foreach (var b in key)
        {
            crc ^= b << 8;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
        }
        return (crc & 0xffff) % count;
    }
}
