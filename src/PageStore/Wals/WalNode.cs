using RecoveryVfs.PageStore.Files;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// A WAL among the plain files. What SQLite appends stays in memory (<see cref="WalTail"/>): the log gets it when its
/// transaction commits, the file only before hints are published, or when there is much of it.
/// </summary>
/// <remarks>
/// <code>
///    0                  tail.Start           recorded              Size
///    | in the file, logged | in memory, logged | in memory, unlogged |        only unlogged bytes may change without a record
/// </code>
/// <para>
/// So a transaction of one page costs a copy and a record, and one that spills the same pages again and again costs no
/// more than what is left of it at its end; and a WAL that begins anew before its file got anything never touches the
/// disk.
/// </para>
/// <para>
/// When a transaction commits is seen in its writes: the header of its last frame says so, and its page follows. If a
/// page of the transaction was written twice, SQLite then computes all checksums anew and writes the headers once more,
/// that of the commit frame last; only then is it a commit. Each of these writes may fail, and SQLite rolls back: so
/// the log's own file has the commit by then, or the log does not have it at all. Should it ever come differently,
/// <see cref="LogCommit"/> is called before others see the commit, and before it returns.
/// </para>
/// </remarks>
internal sealed class WalNode : PlainNode
{
    readonly WalMemory memory;
    readonly WalTail tail;

    // The log has everything before it.
    long recorded;
    // What it held before it was begun anew. It keeps its size then, for all that SQLite knows (journal_size_limit cuts
    // it); the rest reads as zeros.
    long formerSize;
    // What is unlogged consists of frames of this size, and of one that has only begun.
    int frameBytes;
    // Where a frame must begin, for the last thing appended was a page (or the WAL's own header); -1 when that is not
    // known.
    long frameAt = -1;
    // Where the header of a frame was written last, and whether of a commit frame.
    long headerAt = -1;
    bool isCommitHeader;
    // A page of the transaction was written once more.
    bool isRewritten;
    // The end of a commit that is not in the log yet; -1 for none.
    long commitEnd = -1;

    public WalNode(PlainFiles files, ulong fnode, string name, long size, ChunkSums sums, long vouchedUntil,
        WalMemory memory)
        : base(files, fnode, name, size, sums, vouchedUntil)
    {
        this.memory = memory;
        tail = memory.NewTail(size);
        recorded = size;
    }

    public override long ShownSize => Math.Max(Size, Volatile.Read(ref formerSize));

    /// <summary>
    /// There is no frame in it. SQLite wants the header of a WAL that begins anew to be durable before its frames,
    /// which the order of the log sees to.
    /// </summary>
    public override bool HasNothingToLose => Size <= Wal.HeaderBytes;

    protected override int ReadMemory(long offset, Span<byte> destination) => tail.Read(offset, destination);

    protected override void Change(long offset, ReadOnlySpan<byte> source)
    {
        if (offset == 0 && Size > 0 && !Deleted)
        {
            Volatile.Write(ref formerSize, ShownSize);
            StartAnew();
        }
        var isPage = Wal.IsPageSize(source.Length);
        var isPageOfHeader = isPage && offset == headerAt + Wal.FrameHeaderBytes;
        var isCommitPage = isPageOfHeader && isCommitHeader;
        NoteHeader(offset, source);
        if (offset == Size) Append(offset, source, isPageOfHeader, isCommitPage);
        else
        {
            isRewritten |= isPage && !isPageOfHeader;
            Overwrite(offset, source, isCommitPage);
        }
    }

    void NoteHeader(long offset, ReadOnlySpan<byte> source)
    {
        headerAt = source.Length == Wal.FrameHeaderBytes ? offset : -1;
        isCommitHeader = headerAt >= 0 && source[4..8].IndexOfAnyExcept((byte)0) >= 0;
    }

    void Append(long offset, ReadOnlySpan<byte> source, bool isPageOfHeader, bool isCommitPage)
    {
        var isHeader = source.Length == Wal.FrameHeaderBytes && offset == frameAt;
        if (!isPageOfHeader && tail.UsedBytes + source.Length + frameBytes > memory.TailBytesMax) WriteOutAll();
        // Frames of another size follow those of one.
        if (isPageOfHeader && frameBytes != Wal.FrameHeaderBytes + source.Length)
        {
            Log(offset - Wal.FrameHeaderBytes);
            frameBytes = Wal.FrameHeaderBytes + source.Length;
        }
        tail.Append(source);
        Size = offset + source.Length;
        try
        {
            var isFrame = isHeader || (isPageOfHeader && offset - Wal.FrameHeaderBytes == frameAt);
            // What is not a frame is not waited with.
            if (!isFrame) Log(Size);
            else if (isCommitPage) LogUnlessRewritten(Size);
        }
        catch
        {
            // SQLite takes it for not written.
            Size = offset;
            tail.Cut(offset);
            commitEnd = -1;
            throw;
        }
        if (!isHeader) frameAt = Wal.IsPageSize(source.Length) || Size == Wal.HeaderBytes ? Size : -1;
    }

    void LogUnlessRewritten(long end)
    {
        if (isRewritten) Volatile.Write(ref commitEnd, end);
        else Log(end, isCommit: true);
    }

    void Overwrite(long offset, ReadOnlySpan<byte> source, bool isCommitPage)
    {
        var end = offset + source.Length;
        if (offset >= recorded && end <= Size) OverwriteUnlogged(offset, source, isCommitPage);
        else if (offset >= tail.Start && end <= Math.Min(recorded, Size))
        {
            // The log first, which may refuse.
            Record(offset, source, writeOut: isCommitPage || isCommitHeader);
            tail.Overwrite(offset, source);
        }
        else
        {
            if (end > tail.Start) WriteOutAll();
            if ((isCommitPage || isCommitHeader) && offset < Size && !Deleted) WriteLogFirst(offset, source);
            else WriteFile(offset, source);
            if (end > tail.Start) tail.Begin(recorded = Size);
        }
    }

    void OverwriteUnlogged(long offset, ReadOnlySpan<byte> source, bool isCommitPage)
    {
        // The last header that SQLite writes of a transaction whose checksums had to be computed anew, or the page of a
        // commit over one that was rolled back.
        var isLastHeader = isCommitHeader && offset + frameBytes == commitEnd;
        if (!isLastHeader && !isCommitPage)
        {
            tail.Overwrite(offset, source);
            return;
        }
        var before = tail.Slice(offset, source.Length).ToArray();
        tail.Overwrite(offset, source);
        try
        {
            if (isLastHeader) Log(commitEnd, isCommit: true);
            else LogUnlessRewritten(offset + source.Length);
        }
        catch
        {
            tail.Overwrite(offset, before);
            throw;
        }
    }

    /// <summary>
    /// What overwrites a part of the file may complete a commit there, which the log must have first.
    /// </summary>
    void WriteLogFirst(long offset, ReadOnlySpan<byte> source)
    {
        Record(offset, source, writeOut: true);
        Files.Log.Sync(LastLsn);
        try
        {
            Handle!.Write(offset, source);
        }
        catch (RecoveryException)
        {
            // SQLite rolls back, and so must the log.
            var there = new byte[source.Length];
            var got = Handle!.Read(offset, there);
            Record(offset, there.AsSpan(0, got));
            throw;
        }
        Size = Math.Max(Size, offset + source.Length);
    }

    /// <summary>Records what is in memory up to <paramref name="end"/>, a frame a record.</summary>
    void Log(long end, bool isCommit = false)
    {
        if (recorded < end) Files.MarkDirty(this);
        if (isCommit) Telemetry.Committed(Files.Store);
        while (recorded < end)
        {
            var count = Math.Min(end - recorded, frameBytes > 0 ? frameBytes : end - recorded);
            Record(recorded, tail.Slice(recorded, count), writeOut: isCommit && recorded + count == end);
            recorded += count;
        }
        if (end < commitEnd) return;
        Volatile.Write(ref commitEnd, -1);
        isRewritten = false;
    }

    /// <summary>
    /// Whether a commit is in memory that the log does not have. As a rule not even while SQLite writes: it takes
    /// transactions of which a page was written twice, and something unexpected.
    /// </summary>
    public override bool HasUnloggedCommit => Volatile.Read(ref commitEnd) >= 0;

    /// <summary>Records such a commit.</summary>
    public override void LogCommit()
    {
        if (!HasUnloggedCommit) return;
        lock (Gate)
            if (commitEnd >= 0) Log(commitEnd, isCommit: true);
    }

    protected override void Cut(long sizeBytes)
    {
        if (recorded < Size) Log(Size);
        if (sizeBytes < formerSize) Volatile.Write(ref formerSize, sizeBytes);
        base.Cut(sizeBytes);
    }

    protected override void CutFile(long sizeBytes)
    {
        var inFile = tail.Start;
        tail.Cut(sizeBytes);
        recorded = sizeBytes;
        BeginFrames();
        if (sizeBytes < inFile) base.CutFile(sizeBytes);
    }

    protected override void StartAnew()
    {
        base.StartAnew();
        tail.Begin(recorded = 0);
        BeginFrames();
    }

    public override void WriteOut()
    {
        var bytes = recorded - tail.Start;
        if (bytes <= 0) return;
        Handle!.Write(tail.Start, tail.Slice(tail.Start, bytes));
        tail.DropFirst(bytes);
    }

    void WriteOutAll()
    {
        Log(Size);
        WriteOut();
    }

    public override void Release()
    {
        lock (Gate)
        {
            if (Handle is null) return;
            WriteOutAll();
            tail.Trim();
        }
    }

    public override void Abandon()
    {
        lock (Gate)
        {
            Size = Math.Min(Size, recorded);
            tail.Cut(recorded);
            BeginFrames();
        }
    }

    public override void CloseHandle()
    {
        base.CloseHandle();
        tail.Begin(Size);
        tail.Trim();
    }

    void BeginFrames()
    {
        (frameAt, headerAt, isCommitHeader, isRewritten) = (-1, -1, false, false);
        Volatile.Write(ref commitEnd, -1);
    }
}
