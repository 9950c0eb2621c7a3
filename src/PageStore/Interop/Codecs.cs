using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>How blobs are compressed; RocksDB's numbers.</summary>
internal enum BlobCompression : byte
{
    None = 0,
    Lz4 = 4,
    Zstd = 7,
}

/// <summary>
/// Decompresses what RocksDB compressed. Its functions write no further than they are told to, whatever the bytes are.
/// The libraries are those that RocksDB itself needs.
/// </summary>
internal sealed unsafe partial class Codecs() : SafeHandle(0, true)
{
    /// <summary>Of a varint; pages have 64 KiB at most.</summary>
    const int SizeBytesMax = 3;

    public override bool IsInvalid => handle == 0;

    /// <summary>
    /// Decompresses the value of a blob, before which its size stands as a varint, and returns that size; -1 when it is
    /// not what it should be, or does not fit. By one thread at a time.
    /// </summary>
    public int Decompress(BlobCompression compression, ReadOnlySpan<byte> value, Span<byte> destination)
    {
        if (compression == BlobCompression.None) return value.TryCopyTo(destination) ? value.Length : -1;
        var (size, at) = (0, 0);
        for (; at < Math.Min(SizeBytesMax, value.Length); at++)
        {
            size |= (value[at] & 0x7f) << (7 * at);
            if (value[at] < 0x80) break;
        }
        // A size of more bytes is another one for RocksDB than these say.
        if (at == Math.Min(SizeBytesMax, value.Length) || size > destination.Length) return -1;
        var rest = value[(at + 1)..];
        return (compression == BlobCompression.Lz4
            ? TryLz4(rest, destination[..size])
            : TryZstd(rest, destination[..size])) ? size : -1;
    }

    static bool TryLz4(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        fixed (byte* from = source, to = destination)
            return LZ4_decompress_safe(from, to, source.Length, destination.Length) == destination.Length;
    }

    bool TryZstd(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        if (IsInvalid) SetHandle(ZSTD_createDCtx());
        fixed (byte* from = source, to = destination)
            return !IsInvalid && ZSTD_decompressDCtx(handle, to, (nuint)destination.Length, from, (nuint)source.Length)
                == (nuint)destination.Length;
    }

    protected override bool ReleaseHandle()
    {
        ZSTD_freeDCtx(handle);
        return true;
    }

    [LibraryImport("liblz4.so.1")]
    private static partial int LZ4_decompress_safe(byte* source, byte* destination, int sourceBytes,
        int destinationBytes);

    [LibraryImport("libzstd.so.1")]
    private static partial nint ZSTD_createDCtx();

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_freeDCtx(nint context);

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_decompressDCtx(nint context, byte* destination, nuint destinationBytes,
        byte* source, nuint sourceBytes);
}
