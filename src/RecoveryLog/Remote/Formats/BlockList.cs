using System.Buffers.Binary;
using System.Security.Cryptography;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// The hashes of an extent's blocks: the object <c>extents/&lt;name of the extent&gt;.blocks</c>. Any range of the
/// extent is verified with it alone. Hints have its hash, and so vouch for it.
/// </summary>
/// <remarks>
/// <code>
///    0      4         6       7      8      16               48
///    +------+---------+-------+------+------+----------------+----------------------------···
///    | RVBK | version | shift | zero | size | SHA-256 of the | SHA-256 of each block, in
///    |      | u16 = 1 | u8    | u8   | u64  | extent         | their order
///    +------+---------+-------+------+------+----------------+----------------------------···
/// </code>
/// Blocks have 2^shift bytes, the last one what is left. No hash of its own ends it: hints have that.
/// </remarks>
internal sealed class BlockList
{
    /// <summary>The newest version this software knows.</summary>
    public const ushort Version = 1;

    /// <summary>
    /// 64 KiB: a few pages beyond the one that is asked for, and a list of half a thousandth of the extent.
    /// </summary>
    public const int UsualShift = 16;

    /// <summary>Larger extents get larger blocks: no list is larger than 32 MiB.</summary>
    public const int CountMax = 1 << 20;

    /// <summary>Extents up to this size have no list: one request brings all of one.</summary>
    public const long ListlessBytes = 256 << 10;

    /// <summary>Bytes before the hashes.</summary>
    public const int HeaderBytes = 48;

    /// <summary>What a larger extent claims is not believed.</summary>
    public const long ExtentBytesMax = (long)CountMax << ShiftMax;

    const int ShiftMin = 12, ShiftMax = 30;

    readonly ReadOnlyMemory<byte> bytes;

    BlockList(ReadOnlyMemory<byte> bytes, int shift, long sizeBytes)
        => (this.bytes, Shift, SizeBytes) = (bytes, shift, sizeBytes);

    /// <summary>The first 4 bytes.</summary>
    public static ReadOnlySpan<byte> Magic => "RVBK"u8;

    /// <summary>The extent's size.</summary>
    public long SizeBytes { get; }

    /// <summary>A block's size; the last one may be shorter.</summary>
    public int BlockBytes => 1 << Shift;

    /// <summary>Its binary logarithm.</summary>
    public int Shift { get; }

    /// <summary>How many blocks there are.</summary>
    public int Count => (bytes.Length - HeaderBytes) / ObjectHash.Bytes;

    /// <summary>The whole object.</summary>
    public ReadOnlyMemory<byte> Bytes => bytes;

    /// <summary>What hints say of it.</summary>
    public ObjectHash Hash => ObjectHash.Of(bytes.Span);

    /// <summary>Whether the bytes are those of a block.</summary>
    public bool Matches(int block, ReadOnlySpan<byte> of)
    {
        Span<byte> hash = stackalloc byte[ObjectHash.Bytes];
        SHA256.HashData(of, hash);
        return hash.SequenceEqual(bytes.Span.Slice(HeaderBytes + block * ObjectHash.Bytes, ObjectHash.Bytes));
    }

    /// <summary>The shift of an extent of so many bytes.</summary>
    public static int ShiftOf(long sizeBytes)
    {
        var shift = UsualShift;
        while (shift < ShiftMax && CountOf(sizeBytes, shift) > CountMax) shift++;
        return shift;
    }

    /// <summary>How many blocks an extent has.</summary>
    public static long CountOf(long sizeBytes, int shift) =>
        (sizeBytes >> shift) + ((sizeBytes & ((1L << shift) - 1)) == 0 ? 0 : 1);

    /// <summary>The most bytes that a list of an extent may have.</summary>
    public static int BytesMax(long sizeBytes) =>
        (int)(HeaderBytes + Math.Min(CountOf(sizeBytes, ShiftMin), CountMax) * ObjectHash.Bytes);

    /// <summary>
    /// Reads the list of an extent. The caller has compared the bytes with the hash that hints have, if it has one.
    /// Throws Corrupt or TooNew, naming the object.
    /// </summary>
    public static BlockList Read(ReadOnlyMemory<byte> bytes, in Extent extent, string name)
    {
        var from = bytes.Span;
        if (from.Length < HeaderBytes || !from[..4].SequenceEqual(Magic))
            throw RemoteFormat.Damaged(name, "this is no list of blocks");
        var version = BinaryPrimitives.ReadUInt16LittleEndian(from[4..]);
        if (version > Version) throw RemoteFormat.TooNew(name, version, Version);
        int shift = from[6];
        var size = BinaryPrimitives.ReadInt64LittleEndian(from[8..]);
        if (version == 0 || shift is < ShiftMin or > ShiftMax || size < 0 || CountOf(size, shift) > CountMax
            || from.Length != HeaderBytes + CountOf(size, shift) * ObjectHash.Bytes)
            throw RemoteFormat.Damaged(name, "its numbers make no sense");
        if (size != extent.SizeBytes || new ObjectHash(from[16..]) != extent.Hash)
            throw RemoteFormat.Damaged(name, "it is the list of another extent");
        return new BlockList(bytes, shift, size);
    }

    /// <summary>
    /// Makes a list while an extent's bytes pass, and their hash; without a <paramref name="shift"/> only the hash.
    /// </summary>
    public sealed class Builder(int? shift) : IDisposable
    {
        readonly long blockBytes = 1L << (shift ?? UsualShift);
        readonly IncrementalHash all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        readonly IncrementalHash block = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        readonly MemoryStream to = Begin();
        long size;

        static MemoryStream Begin()
        {
            var to = new MemoryStream();
            to.SetLength(HeaderBytes);
            to.Position = HeaderBytes;
            return to;
        }

        /// <summary>From the first byte on again.</summary>
        public void Reset()
        {
            all.GetHashAndReset();
            block.GetHashAndReset();
            to.SetLength(HeaderBytes);
            to.Position = HeaderBytes;
            size = 0;
        }

        /// <summary>Takes the next bytes.</summary>
        public void Append(ReadOnlySpan<byte> bytes)
        {
            all.AppendData(bytes);
            while (shift is not null && !bytes.IsEmpty)
            {
                var left = blockBytes - size % blockBytes;
                var part = bytes[..(int)Math.Min(bytes.Length, left)];
                block.AppendData(part);
                size += part.Length;
                bytes = bytes[part.Length..];
                if (part.Length == left) EndBlock();
            }
        }

        void EndBlock()
        {
            Span<byte> hash = stackalloc byte[ObjectHash.Bytes];
            block.GetHashAndReset(hash);
            to.Write(hash);
        }

        /// <summary>The list of what was taken, if it was asked for, and the hash of it all.</summary>
        public (BlockList? List, ObjectHash Extent) Finish()
        {
            var hash = ObjectHash.Take(all);
            if (shift is null) return (null, hash);
            if (size % blockBytes != 0) EndBlock();
            var bytes = to.ToArray();
            Magic.CopyTo(bytes);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), Version);
            bytes[6] = (byte)shift.Value;
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), size);
            hash.CopyTo(bytes.AsSpan(16));
            return (new BlockList(bytes, shift.Value, size), hash);
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            all.Dispose();
            block.Dispose();
            to.Dispose();
        }
    }
}
