using System.Buffers;
using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// Packs records, in order, into one remote segment. A few are gathered, and compressed in one step at the end; more
/// are compressed as they come (<see cref="SegmentPacker"/>). Only one huge record group, which may not be split, needs
/// a spool file.
/// </summary>
internal sealed class SegmentBuilder : IDisposable
{
    /// <summary>Packed bytes held in memory; twice a segment's usual size, so that only huge groups spool.</summary>
    public const int DefaultMemoryBytes = 8 << 20;

    /// <summary>
    /// A body below this is not worth a compressor's start: it rarely gains what a frame's header costs.
    /// </summary>
    const int WorthCompressingBytes = 64;

    /// <summary>
    /// Up to here a segment is compressed in one step, which is faster: tables of its size for a single commit, and no
    /// window that is moved for more. What is larger goes on to the packer in pieces of this size.
    /// </summary>
    const int GatheredBytes = 1 << 20;

    /// <summary>A record of this size holds whole pages, most of them new: a copy's, or a load's.</summary>
    const int BulkBytes = 256 << 10;

    readonly int memoryBytes;
    readonly Func<Stream>? openSpool;
    readonly ArrayBufferWriter<byte> gathered = new(4096);
    SegmentPacker? packer;
    long previousTimeMs, bodyBytes;

    /// <summary>
    /// Starts empty. <paramref name="openSpool"/> makes a seekable stream for what does not fit into memory; without it
    /// everything stays in memory.
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
        if (IsEmpty)
            (FirstLsn, FirstTimeMs, LastTimeMs, previousTimeMs) = (record.Lsn, record.UnixTimeMs, record.UnixTimeMs, 0);
        Span<byte> start = stackalloc byte[RemoteSegmentFormat.MaxRecordHeaderBytes];
        int size = RemoteSegmentFormat.WriteRecordHeader(start, record, previousTimeMs);
        Put(start[..size]);
        Put(record.Body);
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
        if (packer is null) packed = InOneStep(header, gathered.WrittenSpan);
        else
        {
            PackGathered();
            packed = packer.Finish(header with { IsCompressed = true });
        }
        Clear();
        return packed;
    }

    /// <summary>A segment that says that the log goes on at <paramref name="nextLsn"/>, and holds nothing.</summary>
    public static PackedSegment Gap(
        Guid logId, ulong epoch, ulong author, ulong firstLsn, ulong nextLsn, long timeMs, in ObjectHash previous) =>
        InOneStep(new RemoteSegmentHeader
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
        packer?.Dispose();
        packer = null;
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    /// <summary>Small things are gathered; what is no smaller than a block goes straight to the packer.</summary>
    void Put(ReadOnlySpan<byte> bytes)
    {
        if (gathered.WrittenCount + bytes.Length > GatheredBytes)
        {
            PackGathered(isBulk: bytes.Length >= BulkBytes);
            if (bytes.Length >= GatheredBytes)
            {
                packer!.Write(bytes);
                return;
            }
        }
        gathered.Write(bytes);
    }

    /// <param name="isBulk">What comes next is large. Only at its beginning does that choose how it is packed.</param>
    void PackGathered(bool isBulk = false)
    {
        packer ??= new SegmentPacker(openSpool, memoryBytes, isBulk);
        packer.Write(gathered.WrittenSpan);
        gathered.ResetWrittenCount();
    }

    static PackedSegment InOneStep(RemoteSegmentHeader header, ReadOnlySpan<byte> body)
    {
        const int around = RemoteSegmentFormat.HeaderBytes + RemoteSegmentFormat.TrailerBytes;
        byte[] bytes =
            GC.AllocateUninitializedArray<byte>(around
            + Math.Max(body.Length, body.Length < WorthCompressingBytes ? 0 : Zstd.Bound(body.Length)));
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
        var content = bytes.Length > 4 * (hashed + ObjectHash.Bytes)
            ? bytes.AsMemory(0, hashed + ObjectHash.Bytes).ToArray()
            : bytes.AsMemory(0, hashed + ObjectHash.Bytes);
        return new PackedSegment(header, hash, new ObjectContent(content), null);
    }
}
