using System.Buffers;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

// Opening: what LogRecovery found is repaired, and appending goes on in the newest segment.
internal sealed partial class LocalLog
{
    /// <summary>
    /// Opens the log in <c>&lt;dir&gt;/log</c>, or creates it, and replays its records from
    /// <paramref name="replayFrom"/> on, in order and only in whole groups. A tail that was never synced and is not
    /// whole is cut. Damage is reported with file, offset and LSN, and nothing is changed then; so is a log that does
    /// not reach back to <paramref name="replayFrom"/> or ends before it.
    /// </summary>
    /// <remarks>
    /// Everything that was replayed is durable when this returns. The caller makes sure that only one process opens the
    /// log for writing.
    /// </remarks>
    public static LocalLog Open(ILogDisk disk, string dir, LogOptions options, ulong replayFrom = 1,
        RecordTaken? replay = null)
    {
        if (options.SegmentBytes < 4096 || options.FirstSegmentBytes < 4096)
            throw new RecoveryException(RecoveryError.Invalid,
                $"A log segment of {Math.Min(options.SegmentBytes, options.FirstSegmentBytes)} bytes is too small: "
                    + "give it at least 4096.");
        var directory = Path.Combine(dir, "log");
        if (!options.ReadOnly)
            disk.CreateDirectory(directory);
        var recovery = new LogRecovery(disk, directory, options);
        recovery.Discover();
        if (recovery.Segments.Count == 0)
            return Create(disk, directory, options, Math.Max(replayFrom, 1), recovery);
        recovery.Replay(Math.Max(replayFrom, 1), replay);
        return Continue(disk, directory, options, recovery);
    }

    static LocalLog Create(ILogDisk disk, string directory, LogOptions options, ulong replayFrom, LogRecovery recovery)
    {
        var at = options.CreateAt ?? 1;
        if (options.ReadOnly || at < replayFrom)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"There is no log in {directory}, but it is needed from LSN {replayFrom} on.",
                "Restore the store from its remote; if its files were moved, move log/ back too.")
            { Path = directory, Lsn = replayFrom };
        var spares = new SpareSegments(disk, directory, options.SpareSegments);
        spares.TakeOver(recovery);
        var header = new SegmentHeader(options.LogId ?? Guid.NewGuid(), options.Epoch, 1, at);
        var path = Path.Combine(directory, SegmentFormat.FileName(at));
        spares.Prepare(options.FirstSegmentBytes);
        var (file, spare, fileBytes) = spares.Open(options.FirstSegmentBytes, header);
        try
        {
            disk.Rename(spare, path);
            file.Path = path;
            disk.SyncDirectory(directory);
        }
        catch
        {
            file.Dispose();
            throw;
        }
        var segment = new LogSegment(path, header, fileBytes);
        var log = new LocalLog(disk, directory, options, spares, segment, file);
        log.Begin([segment], at - 1, SegmentFormat.HeaderBytes);
        return log;
    }

    static LocalLog Continue(ILogDisk disk, string directory, LogOptions options, LogRecovery recovery)
    {
        var newest = recovery.Segments[^1];
        var spares = new SpareSegments(disk, directory, options.SpareSegments);
        LocalLog log;
        if (options.ReadOnly)
            log = new LocalLog(disk, directory, options, spares, newest, new ClosedLogFile(newest.Path))
            {
                Damage = recovery.EndsAt,
            };
        else
        {
            spares.TakeOver(recovery);
            foreach (var stranded in recovery.Stranded)
                disk.Delete(stranded.Path);
            var file = disk.Open(newest.Path, LogFileMode.Write);
            log = new LocalLog(disk, directory, options, spares, newest, file);
            try
            {
                log.durableMark.IsClosed = recovery.IsMarkedClosed;
                log.Repair(recovery);
            }
            catch
            {
                file.Dispose();
                log.durableMark.Dispose();
                throw;
            }
            newest.FileBytes = Math.Max(newest.FileBytes, recovery.End);
        }
        log.clock.Advance(recovery.LastTimeMs);
        log.Begin(recovery.Segments, recovery.LastLsn, recovery.End);
        return log;
    }

    void Begin(IReadOnlyList<LogSegment> found, ulong last, long end)
    {
        segments.Begin(found);
        StartAfter(last, end);
    }

    void StartAfter(ulong last, long end)
    {
        appendedLsn = lastLsn = writtenLsn = durableLsn = last;
        StartAt(end);
        durableEnd = end;
    }

    /// <summary>
    /// Before anything is appended: what was cut is zeroed, so that no record of it can ever stand behind a new one;
    /// and what may be in the operating system's memory only is written again and synced. Written again, since after a
    /// failed fdatasync (of the process before) the kernel believes its pages clean, though they never reached the
    /// disk.
    /// </summary>
    void Repair(LogRecovery recovery)
    {
        if (recovery.KnownDurable >= recovery.LastLsn && recovery.LeftoverEnd <= recovery.End) return;
        if (durableMark.IsClosed) durableMark.Reopen(LogId, recovery.KnownDurable);
        file.WriteZeros(recovery.End, recovery.LeftoverEnd);
        RewriteFrom(OffsetAfter(recovery.KnownDurable), recovery.End);
        file.SyncData();
    }

    long OffsetAfter(ulong lsn)
    {
        using var reader = new SegmentReader(disk.Open(current.Path, LogFileMode.Read), current.Seed);
        long offset = SegmentFormat.HeaderBytes;
        for (var at = current.FirstLsn; at <= lsn; at++)
        {
            var (length, _) = RecordFormat.Peek(reader.BytesAt(offset, RecordFormat.HeaderBytes));
            offset += RecordFormat.SizeOf((int)length);
        }
        return offset;
    }

    void RewriteFrom(long offset, long end)
    {
        var chunk = ArrayPool<byte>.Shared.Rent(256 << 10);
        try
        {
            while (offset < end)
            {
                var n = file.Read(offset, chunk.AsSpan(0, (int)Math.Min(chunk.Length, end - offset)));
                if (n == 0)
                    throw new RecoveryException(RecoveryError.IoRead,
                        $"{current.Path} became shorter while it was opened.",
                        "See whether something else uses the directory.")
                    { Path = current.Path };
                file.Write(offset, chunk.AsSpan(0, n));
                offset += n;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }
}
