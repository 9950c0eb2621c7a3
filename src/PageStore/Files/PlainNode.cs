using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// One plain file: its identity, what its open handles share, and how it is read and written. See
/// <see cref="PlainFiles"/> for what must hold between it and the log. This is a file that is all on the disk; see
/// <see cref="IPlainKinds"/> for others.
/// </summary>
internal class PlainNode(PlainFiles files, ulong fnode, string name, long size, ChunkSums sums, long vouchedUntil)
{
    const int RecordedAtOnceMax = 64;

    public readonly Lock Gate = new();
    public readonly string Name = name;
    public ulong Fnode { get; private set; } = fnode;
    public ILogFile? Handle;
    public int References;
    public bool Deleted;
    public bool Dirty;

    long size = size;
    ulong lastLsn;
    // Of what the log says that it holds.
    ChunkSums sums = sums;
    // The newest hints say how the file is up to there, but for the chunks that the log has whole since.
    long vouchedUntil = vouchedUntil;
    readonly HashSet<int> recordedChunks = [];
    // The last of them that was recorded, and how many at once: who overwrites a file in order waits for the disk less
    // and less often.
    int lastRecorded = int.MinValue, recordedAtOnce;

    protected PlainFiles Files => files;

    /// <summary>The bytes that count. Changed under the gate.</summary>
    protected long Size
    {
        get => Volatile.Read(ref size);
        set => Volatile.Write(ref size, value);
    }

    /// <summary>The size that SQLite is told.</summary>
    public virtual long ShownSize => Size;

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
            var there = (int)Math.Clamp(Size - offset, 0, wanted);
            destination[there..wanted].Clear();
            try
            {
                var onDisk = ReadMemory(offset, destination[..there]);
                var got = onDisk == 0 ? 0 : handle.Read(offset, destination[..onDisk]);
                return got < onDisk ? got : wanted;
            }
            catch (ObjectDisposedException) when (!ReferenceEquals(handle, Handle))
            {
                // Another connection has just started the file anew.
            }
        }
    }

    /// <summary>Copies what memory has of it; returns how many of the first bytes are the file's.</summary>
    protected virtual int ReadMemory(long offset, Span<byte> destination) => destination.Length;

    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        lock (Gate)
        {
            files.MarkDirty(this);
            Change(offset, source);
        }
    }

    protected virtual void Change(long offset, ReadOnlySpan<byte> source) => WriteFile(offset, source);

    /// <summary>The file first: a record is only appended for a write that took place.</summary>
    protected void WriteFile(long offset, ReadOnlySpan<byte> source)
    {
        if (StopVouching(offset, source.Length)) files.Log.Sync(lastLsn);
        Handle!.Write(offset, source);
        Record(offset, source);
        Size = Math.Max(Size, offset + source.Length);
    }

    /// <param name="offset">Where it was written.</param>
    /// <param name="source">What.</param>
    /// <param name="writeOut">The operating system has to have the record before it counts.</param>
    protected void Record(long offset, ReadOnlySpan<byte> source, bool writeOut = false)
    {
        if (Deleted) return;
        StopVouching(offset, source.Length);
        lastLsn = files.Log.AppendWritten(Fnode, offset, source, writeOut);
        sums.Write(offset, source);
    }

    /// <summary>
    /// Before something is overwritten that the newest hints vouch for: the log gets the chunks that it touches, as
    /// they are, durably before the file is changed. Or a crash that takes the record of the change from the log, and
    /// not the change from the file, would look as damage does. Rare, since what is overwritten is mostly younger than
    /// the hints. What is still in memory gets to the file after a sync of the log, as all of it does.
    /// </summary>
    bool StopVouching(long offset, int length)
    {
        if (offset >= vouchedUntil || length == 0 || Deleted) return false;
        var (first, end) = ((int)(offset / ChunkSums.ChunkBytes), Math.Min(offset + length, vouchedUntil));
        var any = false;
        for (var chunk = first; (long)chunk * ChunkSums.ChunkBytes < end; chunk++)
        {
            if (recordedChunks.Contains(chunk)) continue;
            RecordChunks(chunk);
            any = true;
        }
        return any;
    }

    void RecordChunks(int first)
    {
        recordedAtOnce = first == lastRecorded + 1 ? Math.Min(recordedAtOnce * 2, RecordedAtOnceMax) : 1;
        var start = (long)first * ChunkSums.ChunkBytes;
        var count = 0;
        for (; count < recordedAtOnce && start + ((long)count * ChunkSums.ChunkBytes) < vouchedUntil
            && !recordedChunks.Contains(first + count); count++)
            ThrowIfDamaged(first + count);
        var bytes = new byte[Math.Min((long)count * ChunkSums.ChunkBytes, vouchedUntil - start)];
        var got = Read(start, bytes);
        lastLsn = files.Log.AppendWritten(Fnode, start, bytes.AsSpan(0, got));
        for (var chunk = first; chunk < first + count; chunk++) recordedChunks.Add(lastRecorded = chunk);
    }

    /// <summary>The log must not get as right what is not what was written.</summary>
    void ThrowIfDamaged(int chunk)
    {
        if (IsDamaged(chunk))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The plain file {Name} was damaged: {Damaged(chunk)}. Restore the store from its remote, or from a "
                    + "backup of the directory.");
    }

    bool IsDamaged(int chunk) => sums.Known(chunk) is { } sum && ChunkSums.Compute(Read, chunk, sums.SizeBytes) != sum;

    static string Damaged(int chunk)
        => $"its bytes from {(long)chunk * ChunkSums.ChunkBytes} on do not have the checksum of what was written";

    /// <summary>
    /// With the gate held: the checksums for hints of now, which vouch for the file from here on; none when it cannot
    /// be read whole.
    /// </summary>
    public ReadOnlyMemory<uint> Vouch()
    {
        var taken = sums.Take(Read);
        vouchedUntil = taken is null ? 0 : sums.SizeBytes;
        recordedChunks.Clear();
        return taken;
    }

    /// <summary>
    /// What of the file does not have the checksum of what was written, in words; null when all of it does.
    /// </summary>
    public string? Verify(CancellationToken cancellation)
    {
        for (var chunk = 0; ; chunk++)
        {
            cancellation.ThrowIfCancellationRequested();
            lock (Gate)
            {
                if (Deleted || chunk >= ChunkSums.CountOf(sums.SizeBytes)) return null;
                if (IsDamaged(chunk)) return Damaged(chunk);
            }
        }
    }

    public void Truncate(long sizeBytes)
    {
        lock (Gate)
        {
            files.MarkDirty(this);
            Cut(sizeBytes);
        }
    }

    protected virtual void Cut(long sizeBytes)
    {
        if (sizeBytes >= Size) return;
        if (sizeBytes == 0 && !Deleted)
        {
            StartAnew();
            return;
        }
        if (!Deleted)
        {
            // Of the chunk that the cut goes through the hints' checksum says nothing any more.
            if (sizeBytes % ChunkSums.ChunkBytes != 0) StopVouching(sizeBytes, 1);
            lastLsn = files.Log.Append(RecordKind.FileTruncated, FileRecords.Truncated(Fnode, sizeBytes));
            files.Log.Sync(lastLsn);
            sums.Truncate(sizeBytes);
            vouchedUntil = Math.Min(vouchedUntil, sizeBytes);
        }
        Size = sizeBytes;
        CutFile(sizeBytes);
    }

    protected virtual void CutFile(long sizeBytes) => Handle!.Truncate(sizeBytes);

    protected virtual void StartAnew()
    {
        var (handle, old) = (Handle, Fnode);
        (Handle, Fnode, lastLsn) = files.Replace(this);
        handle?.Dispose();
        (sums, vouchedUntil) = (new ChunkSums(), 0);
        recordedChunks.Clear();
        Size = 0;
        files.UnlinkAfter(old, lastLsn);
    }

    /// <summary>Whether a sync of it has nothing to make durable.</summary>
    public virtual bool HasNothingToLose => false;

    /// <summary>Whether a commit is in it that the log does not have.</summary>
    public virtual bool HasUnloggedCommit => false;

    /// <summary>Records such a commit.</summary>
    public virtual void LogCommit() { }

    /// <summary>With the gate held: brings to the file what it lacks of what the log has.</summary>
    public virtual void WriteOut() { }

    /// <summary>Brings to the file what it can, and gives memory back.</summary>
    public virtual void Release() { }

    /// <summary>Nobody has it open: what only they knew of is given up.</summary>
    public virtual void Abandon() { }

    /// <summary>Nobody has it open, and its file has everything, or nobody will want it.</summary>
    public virtual void CloseHandle()
    {
        Handle?.Dispose();
        Handle = null;
    }
}
