using System.IO.Pipelines;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// The plain bytes of one zstd frame, read forward; throws InvalidData when it is none or ends early. Owns its source,
/// whose bytes are there when they are asked for: in memory, or in a local file.
/// </summary>
sealed class ZstdReader(PipeReader source) : ForwardStream
{
    readonly Zstd.DecompressorHandle context = Zstd.NewDecompressor();
    bool done;

    /// <summary>Bytes of the source that were used: at the end of the frame, its size.</summary>
    public long PackedBytes { get; private set; }

    /// <summary>Some bytes, at least one; 0 at the end of the frame.</summary>
    public override int Read(Span<byte> destination)
    {
        if (destination.IsEmpty) return 0;
        while (!done)
        {
            var packed = source.ReadNow().Buffer;
            if (packed.IsEmpty) throw new InvalidDataException("zstd: the frame ends early");
            Zstd.Decompress(context, packed.FirstSpan, destination, out int read, out int written, out done);
            source.AdvanceTo(packed.GetPosition(read));
            PackedBytes += read;
            if (written > 0) return written;
        }
        return 0;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        => new(Read(buffer.Span));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            context.Dispose();
            source.Complete();
        }
        base.Dispose(disposing);
    }
}
