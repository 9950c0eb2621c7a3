using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>How far a <see cref="LogCursor"/> reads.</summary>
internal enum LogReach
{
    /// <summary>Up to what survives loss of power.</summary>
    Durable,
    /// <summary>Up to what survives the end of the process.</summary>
    Written,
}

/// <summary>
/// Reads the log's records in order, from its files, while it is appended to. Keeps (as a hold) what it has not read.
/// Used by one thread at a time.
/// </summary>
internal sealed class LogCursor : IDisposable
{
    readonly LocalLog log;
    readonly ILogDisk disk;
    readonly LogReach reach;
    readonly LogHold hold;
    LogSegment? segment;
    SegmentReader? reader;
    long offset;

    internal LogCursor(LocalLog log, ILogDisk disk, ulong lsn, LogReach reach, string name)
    {
        this.log = log;
        this.disk = disk;
        this.reach = reach;
        hold = log.Hold(name, lsn);
        NextLsn = lsn;
    }

    /// <summary>The LSN that the next <see cref="TryRead"/> gives.</summary>
    public ulong NextLsn { get; private set; }

    /// <summary>
    /// Reads the next record; false when there is none yet (wait with <see cref="LocalLog.WhenWritten"/>). The view is
    /// valid until the next call. A group's records are only given once the whole group can be.
    /// </summary>
    public bool TryRead(out Record record)
    {
        record = default;
        if (NextLsn > log.Limit(reach))
            return false;
        if (segment is null || (segment.LastLsn is var last and not 0 && NextLsn > last))
            MoveToSegment();
        if (!ReadAt(out record, out var size))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"{segment!.Path} is damaged at offset {offset}: the record with LSN {NextLsn} does not verify, "
                + "though it did when it was written.",
                "Check the disk; restore the store from its remote, and keep the directory for a look at what "
                + "happened.")
            { Path = segment!.Path, Lsn = NextLsn };
        offset += size;
        NextLsn++;
        return true;
    }

    bool ReadAt(out Record record, out int size)
    {
        if (reader!.TryReadAt(offset, out record, out size) && record.Lsn == NextLsn)
            return true;
        // The window may have been filled before the record was written.
        reader.Invalidate();
        return reader.TryReadAt(offset, out record, out size) && record.Lsn == NextLsn;
    }

    void MoveToSegment()
    {
        reader?.Dispose();
        reader = null;
        hold.Move(NextLsn);
        segment = log.SegmentWith(NextLsn);
        reader = new SegmentReader(disk.Open(segment.Path, LogFileMode.Read), segment.Seed);
        offset = SegmentFormat.HeaderBytes;
        var wanted = NextLsn;
        for (NextLsn = segment.FirstLsn; NextLsn < wanted; NextLsn++)
        {
            if (!ReadAt(out _, out var size))
                break; // TryRead comes to the same place, and reports it.
            offset += size;
        }
    }

    /// <summary>Releases the file and the hold.</summary>
    public void Dispose()
    {
        reader?.Dispose();
        hold.Dispose();
    }
}

internal sealed partial class LocalLog
{
    /// <summary>
    /// A cursor at an LSN (at most one beyond the last). Throws NotFound when the records from there on are gone.
    /// </summary>
    public LogCursor ReadFrom(ulong lsn, LogReach reach = LogReach.Durable, string name = "a reader of the log")
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lsn, LastLsn + 1);
        return new LogCursor(this, disk, lsn, reach, name);
    }

    // A poisoned log has wiped what was not durable.
    internal ulong Limit(LogReach reach) => reach == LogReach.Written && Poison is null ? WrittenLsn : DurableLsn;

    internal LogSegment SegmentWith(ulong lsn) => segments.With(lsn);
}
