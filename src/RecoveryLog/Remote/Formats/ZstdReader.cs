using System.Buffers;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>The plain bytes of one zstd frame, read forward; throws InvalidData when it is none or ends early. Owns its source.</summary>
sealed class ZstdReader(Stream source) : IDisposable
{
    const int InputBytes = 64 << 10;

    readonly Zstd.DecompressorHandle context = Zstd.NewDecompressor();
    byte[]? input = ArrayPool<byte>.Shared.Rent(InputBytes);
    int start, end;
    bool done;

    /// <summary>Some bytes, at least one; 0 at the end of the frame.</summary>
    public int Read(Span<byte> destination)
    {
        if (destination.IsEmpty) return 0;
        while (!done)
        {
            if (start == end)
            {
                (start, end) = (0, source.Read(input!, 0, InputBytes));
                if (end == 0) throw new InvalidDataException("zstd: the frame ends early");
            }
            Zstd.Decompress(context, input.AsSpan(start, end - start), destination, out int read, out int written, out done);
            start += read;
            if (written > 0) return written;
        }
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        context.Dispose();
        source.Dispose();
        if (input is { } returned) ArrayPool<byte>.Shared.Return(returned);
        input = null;
    }
}
