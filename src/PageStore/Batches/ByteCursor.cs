using System.Buffers.Binary;

namespace RecoveryVfs.PageStore.Batches;

/// <summary>Reads RocksDB's encodings of numbers and strings, and says when there is not enough.</summary>
internal ref struct ByteCursor(ReadOnlySpan<byte> bytes)
{
    const int Varint32Bytes = 5, Varint64Bytes = 10;

    ReadOnlySpan<byte> rest = bytes;

    /// <summary>Whether nothing is left.</summary>
    public readonly bool IsAtEnd => rest.IsEmpty;

    public bool TryByte(out byte value)
    {
        value = rest.IsEmpty ? (byte)0 : rest[0];
        return TrySkip(1);
    }

    public bool TryFixed32(out uint value)
    {
        value = rest.Length < sizeof(uint) ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(rest);
        return TrySkip(sizeof(uint));
    }

    public bool TryFixed64(out ulong value)
    {
        value = rest.Length < sizeof(ulong) ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(rest);
        return TrySkip(sizeof(ulong));
    }

    public bool TryVarint32(out uint value)
    {
        var isRead = TryVarint(Varint32Bytes, out var wide);
        value = (uint)wide;
        return isRead && wide <= uint.MaxValue;
    }

    public bool TryVarint64(out ulong value) => TryVarint(Varint64Bytes, out value);

    bool TryVarint(int most, out ulong value)
    {
        value = 0;
        for (var i = 0; i < most && i < rest.Length; i++)
        {
            value |= (ulong)(rest[i] & 0x7f) << (7 * i);
            if (rest[i] < 0x80) return TrySkip(i + 1);
        }
        return false;
    }

    /// <summary>Bytes after their number.</summary>
    public bool TryString(out ReadOnlySpan<byte> value)
    {
        value = default;
        if (!TryVarint32(out var length) || length > (uint)rest.Length) return false;
        value = rest[..(int)length];
        return TrySkip((int)length);
    }

    bool TrySkip(int count)
    {
        if (rest.Length < count) return false;
        rest = rest[count..];
        return true;
    }
}
