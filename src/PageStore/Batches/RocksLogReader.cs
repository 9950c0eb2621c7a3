using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Batches;

/// <summary>Takes one record of a file of RocksDB's. The bytes are valid only during the call.</summary>
internal delegate void RocksRecordTaken(ReadOnlySpan<byte> record);

/// <summary>
/// Reads a file in the format of RocksDB's write-ahead logs and MANIFESTs, as its bytes come, from its beginning or
/// from the middle on: then from the first record that begins there. Used by one thread.
/// </summary>
/// <remarks>
/// <code>
///  0           4        6      7 (of recycled files: 7 to 11, the number of the log)
///  +-----------+--------+------+------+
///  | crc32c    | length | type | part |      little-endian; blocks of 32 KiB, of which fewer than a
///  +-----------+--------+------+------+      head's bytes at the end are nothing
///
///  types: 1 whole, 2 first, 3 middle, 4 last; 5 to 8 the same in recycled files
/// </code>
/// </remarks>
internal sealed class RocksLogReader
{
    /// <summary>What a record may have: far more than a write batch has.</summary>
    public const int RecordBytesMax = 256 << 20;

    const int BlockBytes = 32 << 10, HeadBytes = 7, RecycledHeadBytes = 11, LengthAt = 4, TypeAt = 6;
    const byte Whole = 1, First = 2, Middle = 3, Last = 4, Recycled = 4, CompressionType = 9;
    const int KeptBytesMax = 1 << 20;
    const uint MaskDelta = 0xa282ead8;

    string name = "";
    readonly byte[] block = new byte[BlockBytes];
    MemoryStream parts = new();
    long blockAt;
    int have, at;
    bool isJoining, isInRecord, isRestNothing;

    /// <param name="name">The file, for errors.</param>
    /// <param name="offset">Where the bytes begin that will come.</param>
    public RocksLogReader(string name, long offset) => Begin(name, offset);

    /// <summary>Reads another file from now on, or the same from another place.</summary>
    public void Begin(string other, long offset)
    {
        name = other;
        blockAt = offset / BlockBytes * BlockBytes;
        have = at = (int)(offset - blockAt);
        isJoining = offset > 0;
        isInRecord = isRestNothing = false;
        parts.SetLength(0);
    }

    /// <summary>Where the next bytes must begin.</summary>
    public long Position => blockAt + have;

    /// <summary>Takes the next bytes of the file. Throws Corrupt when they are not what RocksDB writes.</summary>
    public void Feed(ReadOnlySpan<byte> bytes, RocksRecordTaken take)
    {
        while (!bytes.IsEmpty)
        {
            var count = Math.Min(bytes.Length, BlockBytes - have);
            bytes[..count].CopyTo(block.AsSpan(have));
            have += count;
            bytes = bytes[count..];
            while (TryTakePart(take))
            {
                // One part after the other.
            }
            if (have < BlockBytes) continue;
            blockAt += BlockBytes;
            (have, at, isRestNothing) = (0, 0, false);
        }
    }

    bool TryTakePart(RocksRecordTaken take)
    {
        var rest = block.AsSpan(at, have - at);
        if (isRestNothing || rest.Length < HeadBytes) return false;
        var type = rest[TypeAt];
        var length = BinaryPrimitives.ReadUInt16LittleEndian(rest[LengthAt..]);
        if (type == 0 && length == 0) return SkipBlock();
        var head = type is > Recycled and <= Recycled + Last ? RecycledHeadBytes : HeadBytes;
        if (at + head + length > BlockBytes)
            return isJoining ? SkipBlock() : throw Damaged("a record goes beyond its block");
        if (rest.Length < head + length) return false;
        var expected = BinaryPrimitives.ReadUInt32LittleEndian(rest) - MaskDelta;
        expected = (expected << 15) | (expected >> 17);
        if (Crc32C.Compute(rest[TypeAt..(head + length)]) != expected)
            return isJoining ? SkipBlock() : throw Damaged("a record's checksum is wrong");
        at += head + length;
        TakePart((byte)(head == RecycledHeadBytes ? type - Recycled : type), rest[head..(head + length)], take);
        return true;
    }

    void TakePart(byte type, ReadOnlySpan<byte> part, RocksRecordTaken take)
    {
        switch (type)
        {
            case Whole or First when isInRecord: throw Damaged("a record begins within another");
            case Whole:
                isJoining = false;
                take(part);
                break;
            case First:
                isJoining = false;
                isInRecord = true;
                parts.SetLength(0);
                parts.Write(part);
                break;
            case Middle or Last when isJoining: break;
            case Middle or Last when !isInRecord: throw Damaged("a record goes on that has not begun");
            case Middle or Last:
                if (parts.Length + part.Length > RecordBytesMax)
                    throw Damaged($"a record has more than {RecordBytesMax >> 20} MiB");
                parts.Write(part);
                if (type == Middle) break;
                isInRecord = false;
                take(parts.GetBuffer().AsSpan(0, (int)parts.Length));
                // What a large one took is given back.
                if (parts.Capacity > KeptBytesMax) parts = new MemoryStream();
                break;
            case CompressionType:
                throw new RecoveryException(RecoveryError.Unsupported,
                    $"The write-ahead log {name} is compressed (wal_compression), and is not read here.",
                    "Its files are recorded and restored all the same.")
                { Path = name };
            default: throw Damaged($"a record has the type {type}");
        }
    }

    /// <summary>What follows in this block is nothing, or nothing that can be understood from here.</summary>
    bool SkipBlock()
    {
        isRestNothing = true;
        return false;
    }

    RecoveryException Damaged(string what) => new(RecoveryError.Corrupt,
        $"The file {name} is not what RocksDB writes, at its byte {blockAt + at}: {what}.",
        "Do not trust the remote before you know who wrote that.")
    { Path = name };
}
