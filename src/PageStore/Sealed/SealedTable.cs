using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>What an entry of a table says of its key.</summary>
internal enum EntryKind : byte
{
    Deletion = 0,
    Value = 1,
    SingleDeletion = 7,
    RangeDeletion = 15,
    /// <summary>The value says where the blob lies.</summary>
    Blob = 17,
}

/// <summary>
/// What a table says, entry by entry. A key is <c>[database u32][page u32]</c>; the highest sequence number counts.
/// </summary>
internal interface ITableEntries
{
    void Take(ulong key, ulong sequence, EntryKind kind, ReadOnlySpan<byte> value);

    /// <summary>
    /// The keys from the first to the last, both included, of entries with lower sequence numbers, are gone.
    /// </summary>
    void TakeRangeDeletion(ulong first, ulong last, ulong sequence);
}

/// <summary>
/// Reads a table of RocksDB's (block-based, version 5, not compressed) as the page store writes it.
/// </summary>
/// <remarks>
/// <code>
///   data blocks, each with a trailer of 5 bytes | other blocks | footer, 53 bytes
///   footer: type of checksum u8 | place of the metaindex | place of the index | zeros | version u32 | magic u64
///   block:  entries | where entries with whole keys begin, u32 each | how many u32
///   entry:  bytes shared with the key before varint | others varint | bytes of the value varint | others | value
///   place:  offset varint | size varint
///   key:    database u32, page u32, big-endian | kind u8, sequence u56, little-endian
/// </code>
/// In the index an entry has no length of the value, which is a place. A block's trailer is its compression (0: none)
/// and a CRC-32C of both, masked as in <see cref="Manifest"/>.
/// </remarks>
internal static class SealedTable
{
    const int FooterBytes = 53, TrailerBytes = 5, SequenceBytes = 8;
    const ulong Magic = 0x88e241b785f4cff7;
    const uint Version = 5;

    readonly record struct Place(ulong Offset, ulong Size);

    const byte Crc32COfBlocks = 1;

    /// <summary>Reads a table of which all bytes were verified.</summary>
    public static void Read(ReadOnlySpan<byte> file, string name, ITableEntries entries)
        => Read(file, name, entries, verify: false);

    /// <summary>
    /// Reads a table whose blocks have to be verified; one with other checksums than CRC-32C (older stores have some)
    /// is not known here.
    /// </summary>
    public static void ReadVerified(ReadOnlySpan<byte> file, string name, ITableEntries entries)
        => Read(file, name, entries, verify: true);

    static void Read(ReadOnlySpan<byte> file, string name, ITableEntries entries, bool verify)
    {
        if (file.Length < FooterBytes) throw new UnfamiliarFileException(name, "is too short for a table");
        var footer = new FileBytes(file[^FooterBytes..], name);
        if (footer.Byte() is var checksum && verify && checksum != Crc32COfBlocks)
            throw new UnfamiliarFileException(name, $"has checksums of type {checksum}");
        var (metaindex, index) = (ReadPlace(ref footer), ReadPlace(ref footer));
        if (BinaryPrimitives.ReadUInt64LittleEndian(file[^8..]) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(file[^12..]) != Version)
            throw new UnfamiliarFileException(name, "is no table of the version that is known here");
        ReadIndexed(file, index, name, entries, verify);
        if (RangeDeletionsOf(Block(file, metaindex, name, verify), name) is { } ranges)
            ReadRangeDeletions(Block(file, ranges, name, verify), name, entries);
    }

    static Place ReadPlace(ref FileBytes bytes) => new(bytes.Varint(), bytes.Varint());

    /// <summary>The entries of a block, without what stands behind them.</summary>
    static ReadOnlySpan<byte> Block(ReadOnlySpan<byte> file, Place place, string name, bool verify)
    {
        if (place.Size < 4 || place.Size > (ulong)file.Length || place.Offset > (ulong)file.Length - place.Size
            || (ulong)file.Length - place.Size - place.Offset < TrailerBytes)
            throw new UnfamiliarFileException(name, $"has no block of {place.Size} bytes at {place.Offset}");
        var block = file.Slice((int)place.Offset, (int)place.Size);
        var end = (int)(place.Offset + place.Size);
        if (verify && BinaryPrimitives.ReadUInt32LittleEndian(file[(end + 1)..]) != Manifest.Masked(
            Crc32C.Compute(file[(int)place.Offset..(end + 1)])))
            throw new UnfamiliarFileException(name, $"has a block at {place.Offset} that does not verify");
        if (file[end] != 0) throw new UnfamiliarFileException(name, "has compressed blocks");
        var restarts = BinaryPrimitives.ReadUInt32LittleEndian(block[^4..]);
        if (restarts > (uint)(block.Length - 4) / 4)
            throw new UnfamiliarFileException(name, "has a block of another kind");
        return block[..^(4 + 4 * (int)restarts)];
    }

    /// <summary>
    /// Data blocks lie one behind the other from the first byte on; that they do shows that the index was read as it is
    /// meant.
    /// </summary>
    static void ReadIndexed(ReadOnlySpan<byte> file, Place index, string name, ITableEntries entries, bool verify)
    {
        var places = new FileBytes(Block(file, index, name, verify), name);
        var expected = 0UL;
        while (!places.IsEmpty)
        {
            var (shared, others) = (places.Varint(), places.Varint());
            places.Take(others);
            var place = ReadPlace(ref places);
            if (shared != 0 || place.Offset != expected)
                throw new UnfamiliarFileException(name, "has an index of another kind");
            expected += place.Size + TrailerBytes;
            ReadData(Block(file, place, name, verify), name, entries);
        }
    }

    static void ReadData(ReadOnlySpan<byte> block, string name, ITableEntries entries)
    {
        Span<byte> key = stackalloc byte[8 + SequenceBytes];
        var rest = new FileBytes(block, name);
        while (!rest.IsEmpty)
        {
            var (shared, others, length) = (rest.Varint(), rest.Varint(), rest.Varint());
            if (shared > (ulong)key.Length || shared + others != (ulong)key.Length)
                throw new UnfamiliarFileException(name, $"has a key of {shared + others} bytes");
            rest.Take(others).CopyTo(key[(int)shared..]);
            var tail = BinaryPrimitives.ReadUInt64LittleEndian(key[8..]);
            entries.Take(BinaryPrimitives.ReadUInt64BigEndian(key), tail >> 8, (EntryKind)(byte)tail,
                rest.Take(length));
        }
    }

    static Place? RangeDeletionsOf(ReadOnlySpan<byte> metaindex, string name)
    {
        var rest = new FileBytes(metaindex, name);
        while (!rest.IsEmpty)
        {
            var (shared, others, length) = (rest.Varint(), rest.Varint(), rest.Varint());
            if (shared != 0) throw new UnfamiliarFileException(name, "has a metaindex of another kind");
            var key = rest.Take(others);
            var value = new FileBytes(rest.Take(length), name);
            if (key.SequenceEqual("rocksdb.range_del"u8)) return ReadPlace(ref value);
        }
        return null;
    }

    /// <summary>A key of 9 bytes is the first one after that of its first 8.</summary>
    static void ReadRangeDeletions(ReadOnlySpan<byte> block, string name, ITableEntries entries)
    {
        Span<byte> key = stackalloc byte[9 + SequenceBytes];
        var rest = new FileBytes(block, name);
        while (!rest.IsEmpty)
        {
            var (shared, others, length) = (rest.Varint(), rest.Varint(), rest.Varint());
            var size = shared + others;
            if (shared > (ulong)key.Length || size is not (16 or 17))
                throw new UnfamiliarFileException(name, $"has a range that begins with a key of {size} bytes");
            rest.Take(others).CopyTo(key[(int)shared..]);
            var tail = BinaryPrimitives.ReadUInt64LittleEndian(key[((int)size - 8)..]);
            if ((EntryKind)(byte)tail != EntryKind.RangeDeletion)
                throw new UnfamiliarFileException(name, "has something else among its ranges");
            var end = rest.Take(length);
            if (end.Length is not (8 or 9))
                throw new UnfamiliarFileException(name, $"has a range that ends with a key of {end.Length} bytes");
            var (first, last) =
                (BinaryPrimitives.ReadUInt64BigEndian(key) + (size == 17 ? 1UL : 0),
                BinaryPrimitives.ReadUInt64BigEndian(end) - (end.Length == 8 ? 1UL : 0));
            if (first <= last) entries.TakeRangeDeletion(first, last, tail >> 8);
        }
    }
}
