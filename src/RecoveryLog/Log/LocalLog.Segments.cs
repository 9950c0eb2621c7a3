using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

// Room for records: segments come from spares, are reserved, and go back to the spares.
internal sealed partial class LocalLog
{
    readonly SpareSegments spares;
    readonly SegmentList segments;

    /// <summary>
    /// Sets aside log space. Afterwards appends given the reservation cannot fail for lack of space until they took
    /// that many bytes (see <see cref="SpaceFor"/>). Throws Full when there is none.
    /// </summary>
    public LogReservation Reserve(long bytes)
    {
        var reservation = new LogReservation(this);
        reservation.Set(bytes);
        return reservation;
    }

    internal void SetReservation(LogReservation reservation, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (appendLock)
        {
            if (groupOpen)
                throw new InvalidOperationException(
                    "This thread is appending a record group; complete or dispose it first.");
            var more = bytes - reservation.Bytes;
            if (more > 0)
            {
                ThrowUnlessWritable();
                if (mustRoll || End + reserved + more > capacity)
                    Roll(SegmentFormat.HeaderBytes + reserved + more);
            }
            reserved += more;
            reservation.Bytes = bytes;
        }
    }

    /// <summary>
    /// Makes sure that the next record of the group fits without touching what others reserved. A group that has begun
    /// stays in its segment, which grows; else a full segment makes room for the next.
    /// </summary>
    void MakeRoom(long size)
    {
        var drawn = groupReservation is null ? 0 : Math.Min(size, groupReservation.Bytes);
        var needed = size + reserved - drawn;
        if (mustRoll || End + needed > capacity)
        {
            if (End == groupStart)
            {
                Roll(SegmentFormat.HeaderBytes + needed);
                groupStart = End;
            }
            else
                Grow(End + needed);
        }
        if (drawn > 0)
        {
            reserved -= drawn;
            groupReservation!.Bytes -= drawn;
            groupDrawn += drawn;
        }
    }

    long NextBytes => options.SegmentBytesAfter(current.FileBytes);

    void Grow(long atLeast)
    {
        var target = (atLeast + GrowthBytes - 1) / GrowthBytes * GrowthBytes;
        CheckBound(target - capacity);
        file.Allocate(capacity, target);
        capacity = target;
        segments.Resize(current, target);
    }

    /// <summary>
    /// Under the append lock: syncs the current segment and goes on in a new one with at least so many bytes.
    /// </summary>
    void Roll(long minimumBytes)
    {
        ThrowUnlessWritable();
        var bytes = Math.Max(NextBytes, (minimumBytes + 4095) & ~4095L);
        CheckBound(bytes);
        if (bufferUsed > 0)
            FlushBuffer();
        PublishWritten();
        // A segment without records is replaced: its file gets the same name, and so the same number.
        var isEmpty = current.FirstLsn == appendedLsn + 1;
        var header = new SegmentHeader(LogId, Epoch, current.Header.Number + (isEmpty ? 0UL : 1UL), appendedLsn + 1);
        var (opened, spare, fileBytes) = spares.Open(bytes, header);
        ILogFile? newFile = opened;
        var path = Path.Combine(directory, SegmentFormat.FileName(header.FirstLsn));
        try
        {
            lock (syncGate)
            {
                SyncBeforeRoll();
                disk.Rename(spare, path);
                newFile.Path = path;
                NameDurably();
                file.Dispose();
                file = newFile;
                newFile = null;
                SwitchTo(new LogSegment(path, header, fileBytes));
            }
        }
        catch
        {
            newFile?.Dispose();
            spares.Discard(spare);
            if (Poison is not null)
                EraseUndurable();
            throw;
        }
    }

    /// <summary>Under both locks: the current segment is durable, whole, before the next one has its name.</summary>
    void SyncBeforeRoll()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (Poison is { } cause)
            throw Poisoned(RecoveryError.ReadOnly, cause);
        SyncFile(file);
        var (reached, end) = Written();
        durableEnd = end;
        Volatile.Write(ref durableLsn, reached);
        durableMark.Note(LogId, reached);
    }

    /// <summary>
    /// Ends the current segment if a large group made it longer than segments are, and there is room for the next. It
    /// would stay otherwise, as the current one always does, until it is filled.
    /// </summary>
    public void EndLongSegment()
    {
        lock (appendLock)
        {
            if (groupOpen)
                throw new InvalidOperationException(
                    "This thread is appending a record group; complete or dispose it first.");
            if (End <= options.SegmentBytes)
                return;
            try
            {
                Roll(SegmentFormat.HeaderBytes + reserved);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Full)
            {
                // It stays, then.
            }
        }
    }

    /// <summary>
    /// When it is not known whether the new segment's name is durable, going on could leave a hole: poison.
    /// </summary>
    void NameDurably()
    {
        try
        {
            disk.SyncDirectory(directory);
        }
        catch (RecoveryException e)
        {
            PoisonWith(e);
            throw;
        }
    }

    /// <summary>Under the append lock and the sync gate.</summary>
    void SwitchTo(LogSegment next)
    {
        segments.Add(next);
        current = next;
        StartAt(SegmentFormat.HeaderBytes);
        durableEnd = SegmentFormat.HeaderBytes;
    }

    void StartAt(long end)
    {
        bufferOffset = end;
        bufferUsed = 0;
        attemptedEnd = end;
        capacity = current.FileBytes;
        prepareAt = options.PrepareInBackground ? Math.Max(end, capacity / 2) : long.MaxValue;
        syncAheadAt = end + SyncAheadBytes;
        mustRoll = false;
        lock (writtenLock)
            writtenEnd = end;
    }

    /// <summary>
    /// Keeps the records from <paramref name="lsn"/> on until the hold moves or is disposed. Throws NotFound when they
    /// are gone.
    /// </summary>
    public LogHold Hold(string name, ulong lsn) => segments.Hold(name, lsn);

    /// <summary>
    /// Says that no replay will need records before <paramref name="lsn"/>. Whole segments of such records that no hold
    /// keeps are recycled, now or in a later call; the current segment always stays.
    /// </summary>
    public void DropBefore(ulong lsn)
    {
        if (options.ReadOnly)
            ThrowUnlessWritable();
        spares.Recycle(() => segments.TakeUnneeded(lsn), NextBytes);
    }

    /// <summary>
    /// About how many bytes of log the records from an LSN on take: exact to the share of one segment.
    /// </summary>
    public long EstimateBytesFrom(ulong lsn)
    {
        var (written, end) = Written();
        return lsn > written ? 0 : segments.EstimateBytesFrom(lsn, written, end);
    }

    /// <summary>Gives the disk space of spares back but for so many of them: for a store that will be idle.</summary>
    public void TrimSpares(int keep) => spares.Trim(keep);

    /// <summary>
    /// RocksDB's own events are appended whatever the bound: without them nothing could ever be dropped.
    /// </summary>
    void CheckBound(long more)
    {
        if (!drainingEvents)
            segments.CheckBound(more);
    }
}
