using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>
/// Decompresses what RocksDB compressed. Its functions write no further than they are told to, whatever the bytes are. The libraries are those that RocksDB itself needs.
/// </summary>
internal sealed unsafe partial class Codecs() : SafeHandle(0, true)
{
    public override bool IsInvalid => handle == 0;

    /// <summary>Whether all of the destination was filled.</summary>
    public static bool TryLz4(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        fixed (byte* from = source, to = destination)
            return LZ4_decompress_safe(from, to, source.Length, destination.Length) == destination.Length;
    }

    /// <summary>Whether all of the destination was filled. By one thread at a time.</summary>
    public bool TryZstd(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        if (IsInvalid) SetHandle(ZSTD_createDCtx());
        fixed (byte* from = source, to = destination)
            return !IsInvalid && ZSTD_decompressDCtx(handle, to, (nuint)destination.Length, from, (nuint)source.Length) == (nuint)destination.Length;
    }

    protected override bool ReleaseHandle()
    {
        ZSTD_freeDCtx(handle);
        return true;
    }

    [LibraryImport("liblz4.so.1")]
    private static partial int LZ4_decompress_safe(byte* source, byte* destination, int sourceBytes, int destinationBytes);

    [LibraryImport("libzstd.so.1")]
    private static partial nint ZSTD_createDCtx();

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_freeDCtx(nint context);

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_decompressDCtx(nint context, byte* destination, nuint destinationBytes, byte* source, nuint sourceBytes);
}
