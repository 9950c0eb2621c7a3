using System.Buffers.Binary;
using System.IO.Hashing;
using System.Numerics;

namespace RecoveryVfs;

/// <summary>
/// The blocks of a table file of RocksDB's (block-based, format 5), to change what is in them and make their checksums
/// right again: nothing of RocksDB's own stands between a reader and what somebody made on purpose.
/// </summary>
/// <remarks>
/// <code>
///   block:   bytes | compression u8 | checksum u32
///   footer:  checksum kind u8 | handle of the metaindex | handle of the index | zeros to 41 bytes | format u32 | magic u64
///   handle:  offset varint | size varint
/// </code>
/// A checksum of kind 1 is the CRC-32C of bytes and compression, masked; of kind 4 the lower half of XXH3 of the bytes,
/// XOR compression times a number.
/// </remarks>
internal sealed class TableBlocks
{
    const int FooterBytes = 53, TrailerBytes = 5, Crc32C = 1, Xxh3 = 4;
    const uint LastByteFactor = 0x6b9083d9, CrcMask = 0xa282ead8;

    readonly byte[] table;
    readonly int kind;
    readonly List<(int Offset, int Size)> blocks = [];

    /// <param name="table">The file, which is changed in place.</param>
    public TableBlocks(byte[] table)
    {
        this.table = table;
        var footer = table.AsSpan(table.Length - FooterBytes);
        kind = footer[0];
        if (kind is not Crc32C and not Xxh3)
            throw new InvalidOperationException($"The table has checksums of kind {kind}.");
        var handles = footer[1..];
        var (metaindex, index) = (Handle(ref handles), Handle(ref handles));
        blocks.AddRange([metaindex, index]);
        foreach (var (_, handle) in Entries(metaindex, hasLengths: true)) Add(handle);
        foreach (var (_, handle) in Entries(index, hasLengths: false)) Add(handle);
        foreach (var block in blocks)
            if (ChecksumOf(block) != Stored(block))
                throw new InvalidOperationException($"The block at {block.Offset} of {block.Size} bytes is none.");
    }

    void Add((int Offset, int Size) block)
    {
        if (block.Size > 0) blocks.Add(block);
    }

    /// <summary>
    /// How many blocks there are: the metaindex, the index, what belongs to the table as a whole, and the data.
    /// </summary>
    public int Count => blocks.Count;

    /// <summary>The bytes of a block, to be changed, and the compression that is behind them.</summary>
    public Span<byte> Bytes(int block) => table.AsSpan(blocks[block].Offset, blocks[block].Size);

    /// <summary>Makes the checksum of a block right.</summary>
    public void Seal(int block) =>
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(blocks[block].Offset + blocks[block].Size + 1),
            ChecksumOf(blocks[block]));

    uint Stored((int Offset, int Size) block)
        => BinaryPrimitives.ReadUInt32LittleEndian(table.AsSpan(block.Offset + block.Size + 1));

    uint ChecksumOf((int Offset, int Size) block) => kind == Crc32C
        ? BitOperations.RotateRight(Crc(table.AsSpan(block.Offset, block.Size + 1)), 15) + CrcMask
        : (uint)XxHash3.HashToUInt64(table.AsSpan(block.Offset, block.Size)) ^ (
        table[block.Offset + block.Size] * LastByteFactor);

    static uint Crc(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes) crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }

    /// <summary>Keys and the handles that they lead to. An index has no lengths of its values.</summary>
    List<(byte[] Key, (int Offset, int Size) Handle)> Entries((int Offset, int Size) block, bool hasLengths)
    {
        var found = new List<(byte[], (int, int))>();
        var bytes = table.AsSpan(block.Offset, block.Size);
        var restarts = BinaryPrimitives.ReadInt32LittleEndian(bytes[^4..]);
        bytes = bytes[..^(4 * (restarts + 1))];
        while (bytes.Length > 0)
        {
            var (shared, own) = (Varint(ref bytes), Varint(ref bytes));
            var value = hasLengths ? Varint(ref bytes) : -1;
            var key = bytes[..own].ToArray();
            bytes = bytes[own..];
            var rest = hasLengths ? bytes[value..] : default;
            found.Add(([.. found.Count > 0 ? found[^1].Item1[..shared] : [], .. key], Handle(ref bytes)));
            if (hasLengths) bytes = rest;
        }
        return found;
    }

    static (int Offset, int Size) Handle(ref Span<byte> bytes) => (Varint(ref bytes), Varint(ref bytes));

    static int Varint(ref Span<byte> bytes)
    {
        var value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var b = bytes[0];
            bytes = bytes[1..];
            value |= (b & 0x7f) << shift;
            if (b < 0x80) return value;
        }
    }
}
