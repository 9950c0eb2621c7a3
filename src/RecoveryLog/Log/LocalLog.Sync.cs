using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

// From the buffer to the operating system, and from there to the disk.
internal sealed partial class LocalLog
{
    /// <summary>
    /// Hands the records up to <paramref name="lsn"/> (or more) to the operating system: they survive the end of the
    /// process. On an error they are still buffered, and the call can be repeated.
    /// </summary>
    public void WriteOut(ulong lsn)
    {
        if (WrittenLsn >= lsn)
            return;
        lock (appendLock)
        {
            if (groupOpen)
                throw new InvalidOperationException(
                    "This thread is appending a record group; complete or dispose it first.");
            ThrowUnlessWritable();
            CheckAppended(lsn);
            Flush();
        }
    }

    /// <summary>
    /// Makes the records up to <paramref name="lsn"/> (or more) durable, together with all that is in the log. Who
    /// comes while a sync is under way stands in line for the next (<see cref="SyncLine"/>). One write and one
    /// fdatasync, no allocation and no thread switch when alone.
    /// </summary>
    /// <remarks>
    /// A failed write leaves the records buffered, and the call can be repeated. A failed fdatasync is never repeated:
    /// the kernel may have dropped the pages it could not write. The log takes no more records from then on, and what
    /// was not durable is wiped from the file, so that a commit that failed is not found by the next open.
    /// </remarks>
    public void Sync(ulong lsn)
    {
        if (DurableLsn >= lsn)
            return;
        if (appendLock.IsHeldByCurrentThread)
            throw new InvalidOperationException(
                "This thread is appending a record group; complete or dispose it first.");
        CheckAppended(lsn);
        line.Reach(lsn);
    }

    /// <summary>
    /// Whether a sync is under way, or about to begin. What is appended now and will be waited for needs no write of
    /// its own: it would wait for the disk to be done with the block that both share.
    /// </summary>
    public bool IsSyncing => line.IsLed;

    /// <summary>How many threads wait in <see cref="Sync"/>, besides the one that syncs.</summary>
    public int WaitingForSync => line.Waiting;

    /// <summary>The round of the line: nobody else writes or syncs for those who wait.</summary>
    ulong SyncAll()
    {
        lock (appendLock)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (Poison is { } cause)
                throw Poisoned(RecoveryError.IoSync, cause);
            Flush();
        }
        SyncWritten();
        return DurableLsn;
    }

    void SyncWritten()
    {
        RecoveryException? failure = null;
        lock (syncGate)
        {
            var (reached, end) = Written();
            if (DurableLsn >= reached)
                return;
            if (Poison is { } cause)
                throw Poisoned(RecoveryError.IoSync, cause);
            ObjectDisposedException.ThrowIf(disposed, this);
            try
            {
                SyncFile(file);
                durableEnd = end;
                Volatile.Write(ref durableLsn, reached);
                durableMark.Note(LogId, reached);
            }
            catch (RecoveryException e)
            {
                failure = e;
            }
        }
        if (failure is not null)
        {
            EraseUndurable();
            throw failure;
        }
    }

    /// <summary>
    /// For whoever must say that a record failed, when <see cref="Sync"/> threw: it is not in the log then, and the log
    /// takes no more records. False when somebody else's sync has made it durable after all.
    /// </summary>
    public bool TryGiveUp(ulong lsn, RecoveryException cause)
    {
        lock (appendLock)
        {
            lock (syncGate)
            {
                if (DurableLsn >= lsn)
                    return false;
                if (Poison is null)
                    PoisonWith(cause);
            }
            // What was merely to be written, and is, stays.
            Erase(WrittenLsn >= lsn ? durableEnd : Written().End);
            return true;
        }
    }

    /// <summary>
    /// Under the append lock: when much has been written that nobody waits for, has it synced on another thread, so
    /// that who does wait, or needs the next segment, waits for the rest only.
    /// </summary>
    void SyncAhead()
    {
        if (!options.PrepareInBackground || bufferOffset < syncAheadAt
            || bufferOffset - Volatile.Read(ref durableEnd) < SyncAheadBytes)
            return;
        syncAheadAt = bufferOffset + SyncAheadBytes;
        if (Interlocked.Exchange(ref syncingAhead, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(static log => log.SyncAheadQuietly(), this, preferLocal: false);
    }

    void SyncAheadQuietly()
    {
        try
        {
            line.Reach(WrittenLsn);
        }
        catch (Exception e) when (e is RecoveryException or ObjectDisposedException)
        {
            // The log is poisoned; whoever needs it next is told.
        }
        finally
        {
            Volatile.Write(ref syncingAhead, 0);
        }
    }

    /// <summary>
    /// Under the sync gate, so that no two syncs of one file overlap: the kernel reports an error to one of them only.
    /// </summary>
    void SyncFile(ILogFile target)
    {
        try
        {
            target.SyncData();
        }
        catch (RecoveryException e)
        {
            PoisonWith(e);
            throw;
        }
    }

    void PoisonWith(RecoveryException e)
    {
        Volatile.Write(ref poison, e);
        writtenWaiters.Fail(WhyNot);
    }

    /// <summary>
    /// After a failed sync, as well as it can be done: zeroes every record that is not known to be durable.
    /// </summary>
    void EraseUndurable()
    {
        lock (appendLock)
            Erase(durableEnd);
    }

    /// <summary>
    /// Under the append lock. The zeros are synced, if the disk lets them: else a loss of power now could bring back
    /// what was said to have failed.
    /// </summary>
    void Erase(long from)
    {
        try
        {
            if (disposed || attemptedEnd <= from)
                return;
            file.WriteZeros(from, attemptedEnd);
            lock (syncGate)
                file.SyncData();
        }
        catch (RecoveryException)
        {
            // The disk is failing; the error that the caller is about to get says so.
        }
    }

    void CheckAppended(ulong lsn)
    {
        if (lsn > LastLsn)
            throw new ArgumentOutOfRangeException(nameof(lsn), lsn, $"The log in {directory} ends at LSN {LastLsn}.");
    }

    /// <summary>Under the append lock: writes the whole buffer; on an error it stays as it is.</summary>
    void Flush()
    {
        FlushBuffer();
        PublishWritten();
    }

    void FlushBuffer()
    {
        if (bufferUsed == 0)
            return;
        WritePart(bufferOffset, buffer.AsSpan(0, bufferUsed));
        bufferOffset += bufferUsed;
        bufferUsed = 0;
    }

    /// <summary>
    /// A record larger than the buffer goes straight from the caller's memory to the file: the body first, and the
    /// header last, so that a failure leaves nothing that verifies. The buffer is empty here.
    /// </summary>
    void WriteThrough(int size, ulong lsn, RecordKind kind, byte flags, long time, uint undurable,
        ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c)
    {
        Span<byte> header = stackalloc byte[RecordFormat.HeaderBytes];
        RecordFormat.WriteHeader(header, current.Seed, lsn, kind, flags, time, undurable, a, b, c);
        var start = bufferOffset;
        var at = start + RecordFormat.HeaderBytes;
        at = WritePart(WritePart(WritePart(at, a), b), c);
        WritePart(at, LogFiles.Zeros((int)(start + size - at)));
        WritePart(start, header);
        bufferOffset = start + size;
    }

    long WritePart(long offset, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 0)
        {
            if (durableMark.IsClosed) TakeBackClosed();
            attemptedEnd = Math.Max(attemptedEnd, offset + bytes.Length);
            file.Write(offset, bytes);
        }
        return offset + bytes.Length;
    }

    /// <summary>Under the append lock, before the first byte since the log was opened.</summary>
    void TakeBackClosed()
    {
        lock (syncGate)
            durableMark.Reopen(LogId, DurableLsn);
    }

    /// <summary>With an empty buffer: what is written is all of the log, less a group that is not complete.</summary>
    void PublishWritten()
    {
        lock (writtenLock)
        {
            writtenEnd = groupOpen ? groupStart : End;
            Volatile.Write(ref writtenLsn, lastLsn);
        }
        writtenWaiters.Advance(lastLsn);
    }

    (ulong Lsn, long End) Written()
    {
        lock (writtenLock)
            return (writtenLsn, writtenEnd);
    }
}
