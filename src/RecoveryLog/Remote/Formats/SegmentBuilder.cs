using System.Buffers;
using System.Diagnostics;
using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// Packs records, in order, into one remote segment. What is gathered stays in memory up to a bound; one huge record group, which may not
/// be split, goes on into a spool file.
/// </summary>
internal sealed class SegmentBuilder : IDisposable
{
    /// <summary>Gathered bytes held in memory; twice a segment's usual size, so that only huge groups spool.</summary>
    public const int DefaultMemoryBytes = 8 << 20;

    /// <summary>A body below this is not worth a compressor's start: it rarely gains what a frame's header costs.</summary>
    const int WorthCompressingBytes = 64;

    readonly int memoryBytes;
    readonly Func<Stream>? openSpool;
    readonly ArrayBufferWriter<byte> gathered = new(4096);
    SpoolWriter? spool;
    long previousTimeMs, bodyBytes;

    /// <summary>
    /// Starts empty. <paramref name="openSpool"/> makes a seekable stream for what does not fit into memory; without it everything
    /// stays in memory.
    /// </summary>
    public SegmentBuilder(Func<Stream>? openSpool = null, int memoryBytes = DefaultMemoryBytes) =>
        (this.openSpool, this.memoryBytes) = (openSpool, memoryBytes);

    /// <summary>The LSN of the first record, 0 while empty.</summary>
    public ulong FirstLsn { get; private set; }

    /// <summary>The LSN of the last record.</summary>
    public ulong LastLsn { get; private set; }

    /// <summary>The earliest time of a record.</summary>
    public long FirstTimeMs { get; private set; }

    /// <summary>The latest time of a record.</summary>
    public long LastTimeMs { get; private set; }

    /// <summary>Bytes gathered, before compression.</summary>
    public long BodyBytes => bodyBytes;

    /// <summary>Whether there is nothing in it.</summary>
    public bool IsEmpty => FirstLsn == 0;

    /// <summary>Whether the last record ends a group, so that the segment may end here.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Adds the next record.</summary>
    public void Add(in Record record)
    {
        Debug.Assert(record.Lsn != 0 && (IsEmpty || record.Lsn == LastLsn + 1), "records come without gaps");
        if (IsEmpty) (FirstLsn, FirstTimeMs, LastTimeMs, previousTimeMs) = (record.Lsn, record.UnixTimeMs, record.UnixTimeMs, 0);
        int sizeMax = RemoteSegmentFormat.MaxRecordHeaderBytes + record.Body.Length;
        if (openSpool is not null && gathered.WrittenCount > 0 && gathered.WrittenCount + sizeMax > memoryBytes) Spool();
        var to = gathered.GetSpan(sizeMax);
        int size = RemoteSegmentFormat.WriteRecordHeader(to, record, previousTimeMs);
        record.Body.CopyTo(to[size..]);
        gathered.Advance(size + record.Body.Length);
        bodyBytes += size + record.Body.Length;
        (LastLsn, previousTimeMs, IsComplete) = (record.Lsn, record.UnixTimeMs, !record.Continues);
        (FirstTimeMs, LastTimeMs) = (Math.Min(FirstTimeMs, record.UnixTimeMs), Math.Max(LastTimeMs, record.UnixTimeMs));
    }

    /// <summary>Ends the segment and empties the builder for the next one.</summary>
    public PackedSegment Finish(Guid logId, ulong epoch, ulong author, in ObjectHash previous)
    {
        if (IsEmpty || !IsComplete) throw new InvalidOperationException("A segment ends where a record group ends.");
        var header = new RemoteSegmentHeader
        {
            LogId = logId,
            Epoch = epoch,
            Author = author,
            FirstLsn = FirstLsn,
            Count = LastLsn - FirstLsn + 1,
            FirstTimeMs = FirstTimeMs,
            LastTimeMs = LastTimeMs,
            BodyBytes = bodyBytes,
            Previous = previous,
        };
        PackedSegment packed;
        if (spool is null) packed = InMemory(header, gathered.WrittenSpan);
        else
        {
            Spool();
            packed = spool.Finish(header with { IsCompressed = true });
            spool = null;
        }
        Clear();
        return packed;
    }

    /// <summary>A segment that says that the log goes on at <paramref name="nextLsn"/>, and holds nothing.</summary>
    public static PackedSegment Gap(
        Guid logId, ulong epoch, ulong author, ulong firstLsn, ulong nextLsn, long timeMs, in ObjectHash previous) =>
        InMemory(new RemoteSegmentHeader
        {
            LogId = logId,
            Epoch = epoch,
            Author = author,
            FirstLsn = firstLsn,
            Count = nextLsn - firstLsn,
            FirstTimeMs = timeMs,
            LastTimeMs = timeMs,
            BodyBytes = 0,
            Previous = previous,
            IsGap = true,
        }, default);

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        gathered.ResetWrittenCount();
        (FirstLsn, LastLsn, bodyBytes, IsComplete) = (0, 0, 0, false);
        spool?.Dispose();
        spool = null;
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    void Spool()
    {
        spool ??= new SpoolWriter(openSpool!());
        spool.Write(gathered.WrittenSpan);
        gathered.ResetWrittenCount();
    }

    static PackedSegment InMemory(RemoteSegmentHeader header, ReadOnlySpan<byte> body)
    {
        const int around = RemoteSegmentFormat.HeaderBytes + RemoteSegmentFormat.TrailerBytes;
        byte[] bytes = GC.AllocateUninitializedArray<byte>(around + Math.Max(body.Length, body.Length < WorthCompressingBytes ? 0 : Zstd.Bound(body.Length)));
        var to = bytes.AsSpan(RemoteSegmentFormat.HeaderBytes);
        int size = body.Length < WorthCompressingBytes ? int.MaxValue : Zstd.Compress(body, to);
        header = header with { IsCompressed = size < body.Length };
        if (!header.IsCompressed)
        {
            body.CopyTo(to);
            size = body.Length;
        }
        RemoteSegmentFormat.WriteHeader(bytes, header);
        int hashed = RemoteSegmentFormat.HeaderBytes + size;
        var hash = ObjectHash.Of(bytes.AsSpan(0, hashed));
        hash.CopyTo(bytes.AsSpan(hashed));
        // A small segment in a buffer of a large bound would hold memory while it waits for the remote.
        var content = bytes.Length > 4 * (hashed + ObjectHash.Bytes) ? bytes.AsMemory(0, hashed + ObjectHash.Bytes).ToArray() : bytes.AsMemory(0, hashed + ObjectHash.Bytes);
        return new PackedSegment(header, hash, new ObjectContent(content), null);
    }

    /// <summary>A segment on its way into a file: body first, since the header is known last.</summary>
    sealed class SpoolWriter(Stream file) : IDisposable
    {
        readonly Zstd.CompressorHandle context = Zstd.NewCompressor();
        readonly byte[] buffer = new byte[128 << 10];
        bool handedOver;

        public void Write(ReadOnlySpan<byte> bytes)
        {
            if (file.Position < RemoteSegmentFormat.HeaderBytes) file.Position = RemoteSegmentFormat.HeaderBytes;
            while (bytes.Length > 0)
            {
                Zstd.Compress(context, bytes, buffer, end: false, out int read, out int written, out _);
                file.Write(buffer, 0, written);
                bytes = bytes[read..];
            }
        }

        public PackedSegment Finish(RemoteSegmentHeader header)
        {
            for (bool done = false; !done;)
            {
                Zstd.Compress(context, default, buffer, end: true, out _, out int written, out done);
                file.Write(buffer, 0, written);
            }
            RemoteSegmentFormat.WriteHeader(buffer, header);
            file.Position = 0;
            file.Write(buffer, 0, RemoteSegmentFormat.HeaderBytes);
            using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            file.Position = 0;
            for (int got; (got = file.Read(buffer)) > 0;) sha.AppendData(buffer, 0, got);
            var hash = ObjectHash.Take(sha);
            hash.CopyTo(buffer);
            file.Write(buffer, 0, ObjectHash.Bytes);
            handedOver = true;
            context.Dispose();
            return new PackedSegment(header, hash, new ObjectContent(file.Length, () => new SharedFileView(file)), file);
        }

        public void Dispose()
        {
            context.Dispose();
            if (!handedOver) file.Dispose();
        }
    }
}

/// <summary>A segment ready to be created. Its bytes never change: a retry sends the same.</summary>
internal sealed class PackedSegment(RemoteSegmentHeader header, ObjectHash hash, ObjectContent content, IDisposable? spool) : IDisposable
{
    /// <summary>What its header says.</summary>
    public RemoteSegmentHeader Header { get; } = header;

    /// <summary>Its trailer.</summary>
    public ObjectHash Hash { get; } = hash;

    /// <summary>Its bytes.</summary>
    public ObjectContent Content { get; } = content;

    /// <summary>The object's name.</summary>
    public string Name => RemoteNames.Segment(Header.FirstLsn);

    /// <inheritdoc/>
    public void Dispose() => spool?.Dispose();
}
