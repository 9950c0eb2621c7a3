using System.Buffers.Binary;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>Bytes of a file, read from the first to the last. Each step checks that they are there.</summary>
internal ref struct FileBytes(ReadOnlySpan<byte> bytes, string file)
{
    ReadOnlySpan<byte> rest = bytes;

    public readonly bool IsEmpty => rest.IsEmpty;

    public ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)rest.Length)
            throw new UnfamiliarFileException(file, $"has {rest.Length} bytes where {count} should follow");
        var taken = rest[..(int)count];
        rest = rest[(int)count..];
        return taken;
    }

    /// <summary>Bytes that their length stands before.</summary>
    public ReadOnlySpan<byte> TakePrefixed() => Take(Varint());

    public byte Byte() => Take(1)[0];

    public uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    /// <summary>Unsigned LEB128 of at most 64 bits.</summary>
    public ulong Varint()
    {
        var value = 0UL;
        for (var i = 0; i < Math.Min(10, rest.Length); i++)
        {
            var b = rest[i];
            value |= (ulong)(b & 0x7f) << (7 * i);
            if (b >= 0x80) continue;
            rest = rest[(i + 1)..];
            return value;
        }
        throw new UnfamiliarFileException(file, "has no number where one should be");
    }
}
