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
///   footer, 32 bytes
/// </code>
/// Checksums are not looked at: who reads the file verifies all of its bytes.
/// </remarks>
internal sealed class BlobFile(string name, long sizeBytes, IBlobs blobs)
{
    public const int HeaderBytes = 30, FooterBytes = 32, BlobHeaderBytes = 32, KeyBytes = 8;
    const int ValueBytesMax = 1 << 20;
    const uint Magic = 2395959, Version = 1;

    byte[] held = new byte[512 << 10];
    int used;
    long at; // of the first byte held
    BlobCompression compression;

    /// <summary>The file begins anew.</summary>
    public void Begin() => (used, at) = (0, 0);

    /// <summary>Takes the next bytes of the file.</summary>
    public void Take(ReadOnlySpan<byte> bytes)
    {
        // As a rule a few bytes are left of the part before.
        if (used + bytes.Length > held.Length) Array.Resize(ref held, Math.Max(held.Length * 2, used + bytes.Length));
        bytes.CopyTo(held.AsSpan(used));
        used += bytes.Length;
        var done = 0;
        for (int step; (step = TakeOne(held.AsSpan(done, used - done), at + done)) > 0;) done += step;
        held.AsSpan(done, used - done).CopyTo(held);
        used -= done;
        at += done;
    }

    /// <summary>Takes what the bytes at an offset begin with; 0 when it is not whole yet.</summary>
    int TakeOne(ReadOnlySpan<byte> bytes, long offset)
    {
        if (offset == 0) return bytes.Length < HeaderBytes ? 0 : TakeHeader(bytes);
        var end = sizeBytes - FooterBytes;
        if (offset >= end || bytes.Length < BlobHeaderBytes) return 0;
        var (key, value) =
            (BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]));
        if (key != KeyBytes || value > ValueBytesMax || offset + BlobHeaderBytes + KeyBytes + (long)value > end)
            throw new UnfamiliarFileException(name, $"has no blob of a page at {offset}");
        var size = BlobHeaderBytes + KeyBytes + (int)value;
        if (bytes.Length < size) return 0;
        blobs.Take(BinaryPrimitives.ReadUInt64BigEndian(bytes[BlobHeaderBytes..]), offset + BlobHeaderBytes + KeyBytes,
            compression, bytes[(BlobHeaderBytes + KeyBytes)..size]);
        return size;
    }

    int TakeHeader(ReadOnlySpan<byte> header)
    {
        compression = CompressionOf(header, name);
        return HeaderBytes;
    }

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
