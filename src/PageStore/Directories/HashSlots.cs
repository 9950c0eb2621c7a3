using System.Globalization;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// The slots that Redis Cluster divides keys into: CRC16 (XMODEM) of the key, or of its part between the first
/// <c>{</c> and the next <c>}</c> where that is not empty, modulo their number. And a range of them.
/// </summary>
/// <param name="First">The first.</param>
/// <param name="Last">The last, which belongs to it.</param>
/// <param name="Count">How many there are.</param>
internal readonly record struct HashSlots(int First, int Last, int Count)
{
    /// <summary>How many there are in a Redis Cluster.</summary>
    public const int Usual = 16384;

    const int Most = 65536;

    /// <summary>The slot of a key.</summary>
    public static int Of(ReadOnlySpan<byte> key, int count)
    {
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

    /// <summary>Whether a key's slot is one of them.</summary>
    public bool Has(ReadOnlySpan<byte> key) => Of(key, Count) is var slot && slot >= First && slot <= Last;

    /// <summary>Reads <c>A-B/N</c>, or <c>A-B</c> of the usual number.</summary>
    public static bool TryParse(string text, out HashSlots slots)
    {
        slots = default;
        var parts = text.Split('/');
        var range = parts[0].Split('-');
        var count = Usual;
        if (parts.Length > 2 || range.Length != 2 || (parts.Length == 2 && !IsNumber(parts[1], out count))
            || !IsNumber(range[0], out var first) || !IsNumber(range[1], out var last))
            return false;
        slots = new HashSlots(first, last, count);
        return count is > 0 and <= Most && first <= last && last < count;
    }

    static bool IsNumber(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{First}-{Last}/{Count}");
}
