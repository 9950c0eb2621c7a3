using RecoveryVfs.PageStore.Directories;

namespace RecoveryVfs.RocksDb;

/// <summary>
/// The slots that Redis Cluster divides keys into: CRC16 (XMODEM) of the key, or of its part between the first
/// <c>{</c> and the next <c>}</c> where that is not empty, modulo their number.
/// </summary>
public static class KeySlots
{
    /// <summary>How many there are in a Redis Cluster.</summary>
    public const int Count = HashSlots.Usual;

    /// <summary>The slot of a key.</summary>
    public static int Of(ReadOnlySpan<byte> key, int count = Count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return HashSlots.Of(key, count);
    }
}
