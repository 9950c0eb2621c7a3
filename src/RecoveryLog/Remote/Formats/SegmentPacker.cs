using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// Compresses a segment's body as its records come, into a pipe. What is packed stays there; when it reaches the pipe's
/// bound, it goes on into a spool file. All in the calls of one thread: a flush that would have to wait is what tells
/// of the bound.
/// </summary>
internal sealed class SegmentPacker : IDisposable
{
    /// <summary>
    /// Small enough not to be a large object to the collector, which would keep it long after the segment is shipped.
    /// </summary>
    const int BlockBytes = 64 << 10;

    /// <summary>Less than this at the end of a block is left alone.</summary>
    const int LeastRoomBytes = 4 << 10;

    readonly Func<Stream>? openSpool;
    readonly Zstd.CompressorHandle context;
    readonly Pipe packed;
    // Known last: filled in where it stands, in the pipe or in the file.
    readonly Memory<byte> header;
    Stream? spool;

    /// <summary>Up to so many bytes are held in memory; without <paramref name="openSpool"/>, all.</summary>
    /// <param name="openSpool">Where the rest goes.</param>
    /// <param name="memoryBytes">How many.</param>
    /// <param name="isBulk">Whether it begins with a large record: whole pages of a copy, above all.</param>
    public SegmentPacker(Func<Stream>? openSpool, int memoryBytes, bool isBulk = false)
    {
        this.openSpool = openSpool;
        context = Zstd.NewCompressor(isBulk ? Zstd.BulkLevel : Zstd.Level);
        packed = new Pipe(new PipeOptions(readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline,
            pauseWriterThreshold: openSpool is null ? 0 : memoryBytes, resumeWriterThreshold: 1,
                minimumSegmentSize: BlockBytes, useSynchronizationContext: false));
        header = packed.Writer.GetMemory(LeastRoomBytes)[..RemoteSegmentFormat.HeaderBytes];
        packed.Writer.Advance(header.Length);
    }

    /// <summary>Takes the next bytes of the body.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            Zstd.Compress(context, bytes, packed.Writer.GetSpan(LeastRoomBytes), end: false, out int read,
                out int written, out _);
            packed.Writer.Advance(written);
            bytes = bytes[read..];
            HandOn();
        }
    }

    /// <summary>Ends the body. The segment owns what was packed.</summary>
    public PackedSegment Finish(RemoteSegmentHeader described)
    {
        for (bool done = false; !done;)
        {
            Zstd.Compress(context, default, packed.Writer.GetSpan(LeastRoomBytes), end: true, out _, out int written,
                out done);
            packed.Writer.Advance(written);
            HandOn();
        }
        var segment = spool is null ? FinishInMemory(described) : FinishSpooled(described, spool);
        spool = null;
        return segment;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        context.Dispose();
        spool?.Dispose();
    }

    void HandOn()
    {
        var flushed = packed.Writer.FlushAsync();
        if (!flushed.IsCompleted) spool ??= openSpool!();
        if (spool is not null && packed.Reader.TryRead(out var read))
        {
            foreach (var part in read.Buffer) spool.Write(part.Span);
            packed.Reader.AdvanceTo(read.Buffer.End);
        }
        Debug.Assert(flushed.IsCompleted, "the pipe is empty, so there is room");
        flushed.GetAwaiter().GetResult();
    }

    /// <summary>
    /// The blocks are never given back to their pool: a PUT that was given up may still be reading them, and must not
    /// send others' bytes.
    /// </summary>
    PackedSegment FinishInMemory(RemoteSegmentHeader described)
    {
        RemoteSegmentFormat.WriteHeader(header.Span, described);
        var hash = Hash(Packed());
        hash.CopyTo(packed.Writer.GetSpan(ObjectHash.Bytes));
        packed.Writer.Advance(ObjectHash.Bytes);
        // Beyond the bound by these few bytes, perhaps: then it has nothing to wait for.
        _ = packed.Writer.FlushAsync();
        return new PackedSegment(described, hash, new ObjectContent(Packed()), null);
    }

    static PackedSegment FinishSpooled(RemoteSegmentHeader described, Stream file)
    {
        Span<byte> start = stackalloc byte[RemoteSegmentFormat.HeaderBytes];
        RemoteSegmentFormat.WriteHeader(start, described);
        file.Position = 0;
        file.Write(start);
        var hash = HashAll(file);
        file.Position = file.Length;
        Span<byte> trailer = stackalloc byte[ObjectHash.Bytes];
        hash.CopyTo(trailer);
        file.Write(trailer);
        file.Flush();
        return new PackedSegment(described, hash, new ObjectContent(file.Length, () => new SharedFileView(file)), file);
    }

    /// <summary>All that is in the pipe; it stays there.</summary>
    ReadOnlySequence<byte> Packed()
    {
        bool isThere = packed.Reader.TryRead(out var read);
        Debug.Assert(isThere, "a header was written at least");
        packed.Reader.AdvanceTo(read.Buffer.Start);
        return read.Buffer;
    }

    static ObjectHash Hash(ReadOnlySequence<byte> bytes)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in bytes) sha.AppendData(part.Span);
        return ObjectHash.Take(sha);
    }

    static ObjectHash HashAll(Stream file)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // A view of a file answers at once.
        var reader = PipeReader.Create(new SharedFileView(file),
            new StreamPipeReaderOptions(bufferSize: BytePipe.BlockBytes));
        for (bool done = false; !done;)
        {
            var read = reader.ReadNow();
            foreach (var part in read.Buffer) sha.AppendData(part.Span);
            reader.AdvanceTo(read.Buffer.End);
            done = read.IsCompleted;
        }
        reader.Complete();
        return ObjectHash.Take(sha);
    }
}
