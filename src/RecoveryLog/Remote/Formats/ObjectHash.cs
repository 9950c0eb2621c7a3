using System.Buffers.Binary;
using System.Security.Cryptography;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>A SHA-256, as a value.</summary>
internal readonly record struct ObjectHash
{
    /// <summary>Its size.</summary>
    public const int Bytes = 32;

    readonly ulong a, b, c, d;

    /// <summary>Takes 32 bytes.</summary>
    public ObjectHash(ReadOnlySpan<byte> bytes)
    {
        a = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        b = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        c = BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]);
        d = BinaryPrimitives.ReadUInt64BigEndian(bytes[24..]);
    }

    /// <summary>The hash of bytes.</summary>
    public static ObjectHash Of(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[Bytes];
        SHA256.HashData(bytes, hash);
        return new ObjectHash(hash);
    }

    /// <summary>The hash gathered so far; starts it afresh.</summary>
    public static ObjectHash Take(IncrementalHash gathered)
    {
        Span<byte> hash = stackalloc byte[Bytes];
        gathered.GetHashAndReset(hash);
        return new ObjectHash(hash);
    }

    /// <summary>The first 8 bytes, for names.</summary>
    public ulong Prefix => a;

    /// <summary>Writes the 32 bytes.</summary>
    public void CopyTo(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64BigEndian(to, a);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], b);
        BinaryPrimitives.WriteUInt64BigEndian(to[16..], c);
        BinaryPrimitives.WriteUInt64BigEndian(to[24..], d);
    }

    /// <summary>64 hex digits.</summary>
    public override string ToString() => $"{a:x16}{b:x16}{c:x16}{d:x16}";
}
