using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Log;

// From the buffer to the operating system, and from there to the disk.
public sealed partial class LocalLog
{
    /// <summary>
    /// Hands the records up to <paramref name="lsn"/> (or more) to the operating system: they survive the end of the process. On an error
    /// they are still buffered, and the call can be repeated.
    /// </summary>
    public void WriteOut(ulong lsn)
    {
        if (WrittenLsn >= lsn)
            return;
        lock (appendLock)
        {
            if (groupOpen)
                throw new InvalidOperationException("This thread is appending a record group; complete or dispose it first.");
            ThrowUnlessWritable();
            CheckAppended(lsn);
            Flush();
        }
    }

    /// <summary>
    /// Makes the records up to <paramref name="lsn"/> (or more) durable. Whoever comes first syncs for all whose records are written by then; the others
    /// wait at the gate and mostly find their work done. One write and one fdatasync, no allocation and no thread switch when alone.
    /// </summary>
    /// <remarks>
    /// A failed fdatasync is never repeated: the kernel may have dropped the pages it could not write. The log takes no more
    /// records from then on, and what was not durable is wiped from the file, so that a commit that failed is not found by the next open.
    /// </remarks>
    public void Sync(ulong lsn)
    {
        if (DurableLsn >= lsn)
            return;
        WriteOut(lsn);
        SyncWritten(lsn);
    }

    void SyncWritten(ulong unlessDurable)
    {
        RecoveryException? failure = null;
        lock (syncGate)
        {
            if (DurableLsn >= unlessDurable)
                return;
            if (Poison is { } cause)
                throw Poisoned(RecoveryError.IoSync, cause);
            ObjectDisposedException.ThrowIf(disposed, this);
            var (reached, end) = Written();
            try
            {
                SyncFile(file);
                durableEnd = end;
                Volatile.Write(ref durableLsn, reached);
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
        durableWaiters.Advance(DurableLsn);
    }

    /// <summary>
    /// Under the append lock: when much has been written that nobody waits for, has it synced on another thread, so that who does wait, or needs the next
    /// segment, waits for the rest only.
    /// </summary>
    void SyncAhead()
    {
        if (!options.PrepareInBackground || bufferOffset < syncAheadAt || bufferOffset - Volatile.Read(ref durableEnd) < SyncAheadBytes)
            return;
        syncAheadAt = bufferOffset + SyncAheadBytes;
        if (Interlocked.Exchange(ref syncingAhead, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(static log => log.SyncAheadQuietly(), this, preferLocal: false);
    }

    void SyncAheadQuietly()
    {
        try
        {
            SyncWritten(ulong.MaxValue);
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

    /// <summary>Under the sync gate, so that no two syncs of one file overlap: the kernel reports an error to one of them only.</summary>
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
        durableWaiters.Fail(WhyNot);
        writtenWaiters.Fail(WhyNot);
    }

    /// <summary>After a failed sync, as well as it can be done: zeroes every record that is not known to be durable.</summary>
    void EraseUndurable()
    {
        lock (appendLock)
        {
            try
            {
                if (!disposed)
                    file.WriteZeros(durableEnd, Math.Max(durableEnd, attemptedEnd));
            }
            catch (RecoveryException)
            {
                // The disk is failing; the error that the caller is about to get says so.
            }
        }
    }

    void CheckAppended(ulong lsn)
    {
        if (lsn > lastLsn)
            throw new ArgumentOutOfRangeException(nameof(lsn), lsn, $"The log in {directory} ends at LSN {lastLsn}.");
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
