using System.Buffers.Binary;
using System.Text;

namespace RecoveryVfs.Testing;

/// <summary>A rollback journal as a crash leaves it, made by hand.</summary>
internal static class HotJournal
{
    const int Sector = 512, Page = 4096;

    /// <summary>One that changes nothing of a database of that size, and names a super-journal.</summary>
    public static byte[] Of(long databaseBytes, string super)
    {
        var name = Encoding.UTF8.GetBytes(super);
        var bytes = new byte[Sector + 4 + name.Length + 16];
        ReadOnlySpan<byte> magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
        magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(16), (int)(databaseBytes / Page));
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(20), Sector);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(24), Page);
        var end = bytes.AsSpan(Sector);
        BinaryPrimitives.WriteInt32BigEndian(end, 0x40000000 / Page + 1);
        name.CopyTo(end[4..]);
        BinaryPrimitives.WriteInt32BigEndian(end[(4 + name.Length)..], name.Length);
        BinaryPrimitives.WriteInt32BigEndian(end[(8 + name.Length)..], name.Sum(b => (sbyte)b));
        magic.CopyTo(end[(12 + name.Length)..]);
        return bytes;
    }
}
