using System.Buffers.Binary;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>Takes the blobs of a file, in its order.</summary>
internal interface IBlobs
{
    /// <param name="key">As in a table.</param>
    /// <param name="offset">Where the value begins in the file.</param>
    /// <param name="compression">How it is compressed.</param>
    /// <param name="value">The value, compressed.</param>
    void Take(ulong key, long offset, BlobCompression compression, ReadOnlySpan<byte> value);
}

/// <summary>Reads a blob file of RocksDB's as its bytes come.</summary>
/// <remarks>
/// <code>
///   header, 30 bytes: magic u32 | version u32 | column family u32 | flags u8 | compression u8 | 16 bytes
///   blob:             bytes of the key u64 | of the value u64 | expiration u64 | crc u32 | crc u32 | key | value
///   footer, 32 bytes: magic u32 | blobs u64 | 16 bytes | crc u32
/// </code>
/// The first checksum of a blob is that of what stands before it, the second that of key and value. They are looked at
/// when <paramref name="verifies"/> says so: who reads the file for its pages verifies all of its bytes otherwise.
/// </remarks>
internal sealed class BlobFile(string name, long sizeBytes, IBlobs blobs, bool verifies = false)
{
    public const int HeaderBytes = 30, FooterBytes = 32, BlobHeaderBytes = 32, KeyBytes = 8;
    const int ValueBytesMax = 1 << 20, HeaderSumAt = 24, FooterSumAt = 28;
    const uint Magic = 2395959, Version = 1;

    byte[] held = new byte[8 << 10];
    int used;
    long at; // of the first byte that was not taken
    BlobCompression compression;

    /// <summary>How many blobs were taken.</summary>
    public long Count { get; private set; }

    /// <summary>The file begins anew.</summary>
    public void Begin() => (used, at, Count) = (0, 0, 0);

    /// <summary>Takes the next bytes of the file. What is whole in them is not copied.</summary>
    public void Take(ReadOnlySpan<byte> bytes)
    {
        while (used > 0 && !bytes.IsEmpty)
        {
            Hold(ref bytes, Needed(held.AsSpan(0, used)) - used);
            if (Needed(held.AsSpan(0, used)) > used) continue;
            TakeOne(held.AsSpan(0, used));
            used = 0;
        }
        for (int step; !bytes.IsEmpty && (step = Needed(bytes)) <= bytes.Length; bytes = bytes[step..])
            TakeOne(bytes[..step]);
        if (!bytes.IsEmpty) Hold(ref bytes, bytes.Length);
    }

    /// <summary>Nothing more comes.</summary>
    public void End()
    {
        if (at != sizeBytes) throw new UnfamiliarFileException(name, $"ends within what begins at {at}");
    }

    void Hold(ref ReadOnlySpan<byte> bytes, int count)
    {
        count = Math.Min(count, bytes.Length);
        if (used + count > held.Length) Array.Resize(ref held, Math.Max(held.Length * 2, used + count));
        bytes[..count].CopyTo(held.AsSpan(used));
        used += count;
        bytes = bytes[count..];
    }

    /// <summary>
    /// How many bytes what begins with these has, as far as they tell: when they are as many, it is whole.
    /// </summary>
    int Needed(ReadOnlySpan<byte> begun)
    {
        var end = sizeBytes - FooterBytes;
        if (at == 0) return HeaderBytes;
        if (at >= end)
            return at == end ? FooterBytes : throw new UnfamiliarFileException(name, "goes on behind its end");
        if (begun.Length < BlobHeaderBytes) return BlobHeaderBytes;
        var (key, value) =
            (BinaryPrimitives.ReadUInt64LittleEndian(begun), BinaryPrimitives.ReadUInt64LittleEndian(begun[8..]));
        if (key != KeyBytes || value > ValueBytesMax || at + BlobHeaderBytes + KeyBytes + (long)value > end)
            throw new UnfamiliarFileException(name, $"has no blob of a page at {at}");
        return BlobHeaderBytes + KeyBytes + (int)value;
    }

    void TakeOne(ReadOnlySpan<byte> bytes)
    {
        if (at == 0) compression = CompressionOf(bytes, name);
        else if (at == sizeBytes - FooterBytes) TakeFooter(bytes);
        else TakeBlob(bytes);
        at += bytes.Length;
    }

    void TakeBlob(ReadOnlySpan<byte> blob)
    {
        var key = BinaryPrimitives.ReadUInt64BigEndian(blob[BlobHeaderBytes..]);
        if (verifies && !(IsBlobOf(key, blob) && IsSummed(blob, HeaderSumAt)
            && BinaryPrimitives.ReadUInt64LittleEndian(blob[16..]) == 0))
            throw new UnfamiliarFileException(name, $"has a blob at {at} that does not verify");
        blobs.Take(key, at + BlobHeaderBytes + KeyBytes, compression, blob[(BlobHeaderBytes + KeyBytes)..]);
        Count++;
    }

    void TakeFooter(ReadOnlySpan<byte> footer)
    {
        if (verifies && !(BinaryPrimitives.ReadUInt32LittleEndian(footer) == Magic && IsSummed(footer, FooterSumAt)
            && BinaryPrimitives.ReadUInt64LittleEndian(footer[4..]) == (ulong)Count))
            throw new UnfamiliarFileException(name, "has an end that does not verify");
    }

    static bool IsSummed(ReadOnlySpan<byte> bytes, int sumAt) =>
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[sumAt..]) == Manifest.Masked(Crc32C.Compute(bytes[..sumAt]));

    /// <summary>What the header of a blob file says.</summary>
    public static BlobCompression CompressionOf(ReadOnlySpan<byte> header, string name)
    {
        var compression = (BlobCompression)header[13];
        if (BinaryPrimitives.ReadUInt32LittleEndian(header) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) != Version
            || header[12] != 0
            || compression is not (BlobCompression.None or BlobCompression.Lz4 or BlobCompression.Zstd))
            throw new UnfamiliarFileException(name, "is no blob file of a kind that is known here");
        return compression;
    }

    /// <summary>Whether the bytes are the whole blob of a key, as it was written: its header, key and value.</summary>
    public static bool IsBlobOf(ulong key, ReadOnlySpan<byte> blob) =>
        blob.Length >= BlobHeaderBytes + KeyBytes
            && BinaryPrimitives.ReadUInt64BigEndian(blob[BlobHeaderBytes..]) == key
        && BinaryPrimitives.ReadUInt64LittleEndian(blob[8..]) == (ulong)(blob.Length - BlobHeaderBytes - KeyBytes)
        && BinaryPrimitives.ReadUInt32LittleEndian(blob[28..])
        == Manifest.Masked(Crc32C.Compute(blob[BlobHeaderBytes..]));
}
