using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore;

/// <summary>
/// One plain file: its identity, what its open handles share, and how it is read and written. See <see cref="PlainFiles"/> for what must hold between it and
/// the log.
/// </summary>
/// <remarks>
/// A WAL's end is in memory first (<see cref="WalTail"/>): what SQLite appends goes there and into the log, a frame as one record, and reaches the file only
/// before hints are published or when there is much of it. A WAL that begins anew before that never reaches it. So a commit costs one write of a file, the log's.
/// </remarks>
internal sealed class PlainNode(PlainFiles files, ulong fnode, string name, long size)
{
    public readonly Lock Gate = new();
    public readonly string Name = name;
    public ulong Fnode = fnode;
    public ILogFile? Handle;
    public int References;
    public bool Deleted;
    public bool Dirty;

    readonly WalTail? tail = Wal.IsName(name) ? files.NewTail(size) : null;
    long size = size;
    ulong lastLsn;
    // What a WAL held before it was begun anew. It keeps its size then, for all that SQLite knows (journal_size_limit cuts it); the rest reads as zeros.
    long formerSize;
    // Where a frame's header lies that waits for its page to be recorded with it; it is all that the log does not know. -1: none waits.
    long waitingAt = -1;
    // Where the page of the commit frame goes whose header was written last.
    long commitPageAt = -1;
    // Where a frame must begin, for the last thing appended was a page (or the WAL's own header).
    long frameAt = -1;

    public long ShownSize => Math.Max(Volatile.Read(ref size), Volatile.Read(ref formerSize));

    /// <summary>The newest record of it.</summary>
    public ulong LastLsn
    {
        get { lock (Gate) return lastLsn; }
    }

    /// <summary>Its creation was recorded.</summary>
    public void Created(ulong lsn) => lastLsn = lsn;

    public int Read(long offset, Span<byte> destination)
    {
        while (true)
        {
            var handle = Handle!;
            var wanted = (int)Math.Clamp(ShownSize - offset, 0, destination.Length);
            var there = (int)Math.Clamp(Volatile.Read(ref size) - offset, 0, wanted);
            destination[there..wanted].Clear();
            try
            {
                var onDisk = tail?.Read(offset, destination[..there]) ?? there;
                var got = onDisk == 0 ? 0 : handle.Read(offset, destination[..onDisk]);
                return got < onDisk ? got : wanted;
            }
            catch (ObjectDisposedException) when (!ReferenceEquals(handle, Handle))
            {
                // Another connection has just started the file anew.
            }
        }
    }

    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        lock (Gate)
        {
            files.MarkDirty(this);
            if (tail is null) WriteThrough(offset, source);
            else WriteWal(tail, offset, source);
        }
    }

    void WriteWal(WalTail tail, long offset, ReadOnlySpan<byte> source)
    {
        if (offset == 0 && size > 0 && !Deleted)
        {
            Volatile.Write(ref formerSize, ShownSize);
            StartAnew();
        }
        // A header whose page never came: SQLite has given that frame up.
        if (waitingAt >= 0 && offset != size) CutWaiting(tail);
        var completesCommit = CanCompleteCommit(offset, source);
        if (offset != size) frameAt = -1;
        if (offset == size) Append(tail, offset, source);
        else if (offset >= tail.Start && offset + source.Length <= size) OverwriteTail(tail, offset, source);
        else
        {
            WriteOut();
            if (completesCommit && offset < size && !Deleted) WriteLogFirst(offset, source);
            else WriteThrough(offset, source);
            tail.Begin(size);
        }
    }

    void CutWaiting(WalTail tail)
    {
        Volatile.Write(ref size, waitingAt);
        tail.Cut(waitingAt);
        waitingAt = -1;
    }

    void Append(WalTail tail, long offset, ReadOnlySpan<byte> source)
    {
        if (tail.UsedBytes > 0 && tail.UsedBytes + source.Length > files.TailBytesMax && waitingAt < 0) WriteOut();
        tail.Append(source);
        Volatile.Write(ref size, offset + source.Length);
        if (waitingAt < 0) waitingAt = offset;
        if (source.Length == Wal.FrameHeaderBytes && offset == frameAt) return;
        frameAt = Wal.IsPageSize(source.Length) || size == Wal.HeaderBytes ? size : -1;
        try
        {
            if (!Deleted) lastLsn = FileRecords.AppendWritten(files.Log, Fnode, waitingAt, tail.Slice(waitingAt, size - waitingAt));
            waitingAt = -1;
        }
        catch
        {
            // What the log does not have was not written.
            CutWaiting(tail);
            throw;
        }
    }

    void OverwriteTail(WalTail tail, long offset, ReadOnlySpan<byte> source)
    {
        if (Deleted)
        {
            tail.Overwrite(offset, source);
            return;
        }
        // The log first, which may refuse.
        lastLsn = FileRecords.AppendWritten(files.Log, Fnode, offset, source);
        tail.Overwrite(offset, source);
    }

    void WriteThrough(long offset, ReadOnlySpan<byte> source)
    {
        // The file first: a record is only appended for a write that took place.
        Handle!.Write(offset, source);
        if (!Deleted) lastLsn = FileRecords.AppendWritten(files.Log, Fnode, offset, source);
        if (offset + source.Length > size) Volatile.Write(ref size, offset + source.Length);
    }

    void WriteLogFirst(long offset, ReadOnlySpan<byte> source)
    {
        lastLsn = FileRecords.AppendWritten(files.Log, Fnode, offset, source);
        files.Log.Sync(lastLsn);
        try
        {
            Handle!.Write(offset, source);
        }
        catch (RecoveryException)
        {
            // SQLite rolls back, and so must the log.
            var there = new byte[source.Length];
            var got = Handle!.Read(offset, there);
            lastLsn = FileRecords.AppendWritten(files.Log, Fnode, offset, there.AsSpan(0, got));
            throw;
        }
        if (offset + source.Length > size) Volatile.Write(ref size, offset + source.Length);
    }

    /// <summary>Whether a WAL may have one more valid commit after this write: it is the header of a commit frame, or the page behind one.</summary>
    bool CanCompleteCommit(long offset, ReadOnlySpan<byte> source)
    {
        var isPage = offset == commitPageAt;
        var isHeader = source.Length == Wal.FrameHeaderBytes && source[4..8].IndexOfAnyExcept((byte)0) >= 0;
        commitPageAt = isHeader ? offset + Wal.FrameHeaderBytes : -1;
        return isHeader || isPage;
    }

    public void Truncate(long sizeBytes)
    {
        lock (Gate)
        {
            files.MarkDirty(this);
            if (waitingAt >= 0) CutWaiting(tail!);
            if (sizeBytes < formerSize) Volatile.Write(ref formerSize, sizeBytes);
            if (sizeBytes >= size) return;
            if (sizeBytes == 0 && !Deleted)
            {
                StartAnew();
                return;
            }
            if (!Deleted)
            {
                lastLsn = files.Log.Append(RecordKind.FileTruncated, FileRecords.Truncated(Fnode, sizeBytes));
                files.Log.Sync(lastLsn);
            }
            var inFile = tail?.Start ?? size;
            Volatile.Write(ref size, sizeBytes);
            tail?.Cut(sizeBytes);
            if (sizeBytes < inFile) Handle!.Truncate(sizeBytes);
        }
    }

    void StartAnew()
    {
        var (handle, old) = (Handle, Fnode);
        (Handle, Fnode, lastLsn) = files.Replace(this);
        handle?.Dispose();
        waitingAt = -1;
        Volatile.Write(ref size, 0);
        tail?.Begin(0);
        files.UnlinkAfter(old, lastLsn);
    }

    /// <summary>With the gate held: brings to the file what only memory has of it.</summary>
    public void WriteOut()
    {
        if (tail is not { UsedBytes: > 0 }) return;
        var bytes = tail.UsedBytes - (waitingAt < 0 ? 0 : size - waitingAt);
        if (bytes == 0) return;
        Handle!.Write(tail.Start, tail.Slice(tail.Start, bytes));
        var waiting = waitingAt < 0 ? [] : tail.Slice(waitingAt, size - waitingAt).ToArray();
        tail.Begin(tail.Start + bytes);
        tail.Append(waiting);
    }

    /// <summary>Brings everything to the file, and gives the memory back.</summary>
    public void Release()
    {
        lock (Gate)
        {
            if (Handle is null) return;
            WriteOut();
            if (tail is { UsedBytes: 0 }) tail.Release();
        }
    }

    /// <summary>Nobody reads it any more.</summary>
    public void CloseHandle()
    {
        Handle?.Dispose();
        Handle = null;
        tail?.Begin(size);
        tail?.Release();
    }
}
