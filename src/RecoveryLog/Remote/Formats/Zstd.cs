using System.Runtime.InteropServices;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// The few calls of libzstd that are needed. Windows are bounded, so that no frame makes a reader allocate much.
/// </summary>
static partial class Zstd
{
    /// <summary>Fast, and near to the best that small page deltas give.</summary>
    public const int Level = 3;

    /// <summary>
    /// For what is whole pages, and much: half of level 3's time, for a sixteenth more bytes.
    /// </summary>
    public const int BulkLevel = 2;

    /// <summary>2^21 bytes: what level 3 uses, and the most that a reader accepts.</summary>
    const int WindowLog = 21;

    const int LevelParameter = 100, WindowLogParameter = 101, ContentSizeParameter = 200, WindowLogMaxParameter = 100;

    /// <summary>The most bytes that a compressed form of so many bytes has.</summary>
    public static int Bound(int bytes) => checked((int)CompressBound((nuint)bytes));

    /// <summary>Compresses in one step; returns the size.</summary>
    public static int Compress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        using var context = NewCompressor();
        return checked(
            (int)Check(Compress2(context, destination, (nuint)destination.Length, source, (nuint)source.Length)));
    }

    public static CompressorHandle NewCompressor(int level = Level)
    {
        var context = CreateCompressor();
        Check(SetParameter(context, LevelParameter, level));
        Check(SetParameter(context, WindowLogParameter, WindowLog));
        // The header of the segment tells the size.
        Check(SetParameter(context, ContentSizeParameter, 0));
        return context;
    }

    public static DecompressorHandle NewDecompressor()
    {
        var context = CreateDecompressor();
        Check(SetParameter(context, WindowLogMaxParameter, WindowLog));
        return context;
    }

    /// <summary>
    /// Feeds the compressor and takes what comes out; with <paramref name="end"/>, until nothing is left inside
    /// (<paramref name="done"/>).
    /// </summary>
    public static unsafe void Compress(
        CompressorHandle context, ReadOnlySpan<byte> source, Span<byte> destination, bool end, out int read,
            out int written, out bool done)
    {
        fixed (byte* from = source, to = destination)
        {
            // The buffers are pinned for the call, and libzstd keeps no pointer to them after it.
            var input = new Buffer { Bytes = from, Size = (nuint)source.Length };
            var output = new Buffer { Bytes = to, Size = (nuint)destination.Length };
            nuint left = Check(CompressStream2(context, ref output, ref input, end ? 2 : 0));
            (read, written, done) = ((int)input.Position, (int)output.Position, left == 0);
        }
    }

    /// <summary>
    /// Feeds the decompressor; <paramref name="done"/> when the frame ended. Throws InvalidData on anything that is no
    /// frame.
    /// </summary>
    public static unsafe void Decompress(
        DecompressorHandle context, ReadOnlySpan<byte> source, Span<byte> destination, out int read, out int written,
            out bool done)
    {
        fixed (byte* from = source, to = destination)
        {
            // The buffers are pinned for the call, and libzstd keeps no pointer to them after it.
            var input = new Buffer { Bytes = from, Size = (nuint)source.Length };
            var output = new Buffer { Bytes = to, Size = (nuint)destination.Length };
            nuint left = Check(DecompressStream(context, ref output, ref input));
            (read, written, done) = ((int)input.Position, (int)output.Position, left == 0);
        }
    }

    static nuint Check(nuint result) =>
        IsError(result) == 0
            ? result
            : throw new InvalidDataException($"zstd: {Marshal.PtrToStringUTF8(ErrorName(result))}");

    public sealed class CompressorHandle() : SafeHandle(0, true)
    {
        public override bool IsInvalid => handle == 0;

        protected override bool ReleaseHandle()
        {
            FreeCompressor(handle);
            return true;
        }
    }

    public sealed class DecompressorHandle() : SafeHandle(0, true)
    {
        public override bool IsInvalid => handle == 0;

        protected override bool ReleaseHandle()
        {
            FreeDecompressor(handle);
            return true;
        }
    }

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer, which look the same.</summary>
    [StructLayout(LayoutKind.Sequential)]
    unsafe struct Buffer
    {
        public byte* Bytes;
        public nuint Size;
        public nuint Position;
    }

    const string Library = "libzstd.so.1";

    [LibraryImport(Library, EntryPoint = "ZSTD_createCCtx")]
    private static partial CompressorHandle CreateCompressor();

    [LibraryImport(Library, EntryPoint = "ZSTD_freeCCtx")]
    private static partial nuint FreeCompressor(nint context);

    [LibraryImport(Library, EntryPoint = "ZSTD_CCtx_setParameter")]
    private static partial nuint SetParameter(CompressorHandle context, int parameter, int value);

    [LibraryImport(Library, EntryPoint = "ZSTD_compressBound")]
    private static partial nuint CompressBound(nuint bytes);

    [LibraryImport(Library, EntryPoint = "ZSTD_compress2")]
    private static partial nuint Compress2(CompressorHandle context, Span<byte> destination, nuint capacity,
        ReadOnlySpan<byte> source, nuint size);

    [LibraryImport(Library, EntryPoint = "ZSTD_compressStream2")]
    private static partial nuint CompressStream2(CompressorHandle context, ref Buffer output, ref Buffer input,
        int directive);

    [LibraryImport(Library, EntryPoint = "ZSTD_createDCtx")]
    private static partial DecompressorHandle CreateDecompressor();

    [LibraryImport(Library, EntryPoint = "ZSTD_freeDCtx")]
    private static partial nuint FreeDecompressor(nint context);

    [LibraryImport(Library, EntryPoint = "ZSTD_DCtx_setParameter")]
    private static partial nuint SetParameter(DecompressorHandle context, int parameter, int value);

    [LibraryImport(Library, EntryPoint = "ZSTD_decompressStream")]
    private static partial nuint DecompressStream(DecompressorHandle context, ref Buffer output, ref Buffer input);

    [LibraryImport(Library, EntryPoint = "ZSTD_isError")]
    private static partial uint IsError(nuint result);

    [LibraryImport(Library, EntryPoint = "ZSTD_getErrorName")]
    private static partial nint ErrorName(nuint result);
}
