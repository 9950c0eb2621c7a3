using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// Reads a local log that another process writes, from its files alone: nothing is written, locked or renamed, and the
/// writer knows nothing of it. Whole groups only, in order. Used by one thread at a time.
/// </summary>
/// <remarks>
/// A segment is found by its name each time, and known by its header: its file may have been dropped, recycled under
/// another name, or (while it was empty) replaced. The last record that was taken must still stand where it stood: a
/// writer whose sync failed wipes what it had written. A record that does not verify is the end of the log if the next
/// segment's file is absent and this one's is still present. They are looked at in that order: a log drops its oldest
/// segments first, so while this one is there, the next was not dropped either.
/// </remarks>
internal sealed class LogTail
{
    readonly ILogDisk disk;
    readonly string directory;
    readonly byte[] identity = new byte[SegmentFormat.HeaderBytes], probe = new byte[SegmentFormat.HeaderBytes];
    readonly byte[] lastHeader = new byte[RecordFormat.HeaderBytes];
    SegmentHeader header;
    string path = "";
    long offset, lastAt;
    bool hasStopped;

    LogTail(ILogDisk disk, string directory)
    {
        this.disk = disk;
        this.directory = directory;
    }

    /// <summary>The next record to be taken.</summary>
    public ulong NextLsn { get; private set; }

    /// <summary>
    /// Whether only a part of a group was taken: the log changed under the reading, and whoever took it is in no state
    /// that ever was.
    /// </summary>
    public bool IsWithinGroup { get; private set; }

    /// <summary>The identity of the log.</summary>
    public Guid LogId => header.LogId;

    /// <summary>The epoch in which it is written.</summary>
    public ulong Epoch => header.Epoch;

    /// <summary>
    /// A tail of the log in <c>&lt;dir&gt;/log</c> from a record on, which may be the one after the last; null when the
    /// log does not have that place (any more).
    /// </summary>
    public static LogTail? TryOpen(ILogDisk disk, string dir, ulong from)
    {
        var tail = new LogTail(disk, Path.Combine(dir, "log"));
        return tail.TryStart(from) ? tail : null;
    }

    bool TryStart(ulong from)
    {
        if (Segments().LastOrDefault(s => s <= from) is not (> 0 and var first)) return false;
        NextLsn = first;
        if (!TryEnter(PathOf(first), null)) return false;
        using var file = TryOpenCurrent();
        if (file is null) return false;
        using var reader = new SegmentReader(file, header.Seed, 1 << 20);
        while (NextLsn < from && reader.TryReadAt(offset, out var record, out var size) && record.Lsn == NextLsn)
            Pass(reader, size);
        return NextLsn == from && IsStillThere();
    }

    IEnumerable<ulong> Segments() => disk.List(directory)
        .Select(static n => SegmentFormat.TryParseFileName(n, out var first) ? first : 0).Where(static f => f > 0)
        .Order();

    string PathOf(ulong first) => Path.Combine(directory, SegmentFormat.FileName(first));

    /// <summary>
    /// Takes every record that was in the log when this was called, and perhaps later ones. False when that cannot be,
    /// because the log is not the one that was read before, or does not reach back so far any more: then whoever
    /// follows it has to start anew. What <paramref name="take"/> throws passes through; the tail is of no use then.
    /// </summary>
    /// <param name="take">Takes a record.</param>
    /// <param name="stopBefore">
    /// When given: asked with the last record of each group before that is taken; true ends it there.
    /// </param>
    public bool TryAdvance(RecordTaken take, RecordAwaited? stopBefore = null)
    {
        if (!IsStillThere()) return false;
        ulong? newest = null;
        hasStopped = false;
        while (true)
        {
            if (!TryTakeGroups(take, stopBefore)) return false;
            if (hasStopped) return true;
            var next = PathOf(NextLsn);
            if (next == path || !disk.Exists(next)) return disk.Exists(path);
            // Behind a fast writer: what it does from now on is for the next call.
            newest ??= Segments().LastOrDefault();
            if (NextLsn > newest) return true;
            if (!TryEnter(next, header)) return false;
        }
    }

    /// <summary>Goes to a segment, which must follow the one before.</summary>
    bool TryEnter(string next, SegmentHeader? before)
    {
        using var file = TryOpen(next);
        if (file is null || file.Read(0, probe) < probe.Length || TryReadHeader(next) is not { } found) return false;
        if (found.FirstLsn != NextLsn || before is { } b && (found.LogId != b.LogId || found.Number != b.Number + 1))
            return false;
        path = next;
        header = found;
        probe.CopyTo(identity, 0);
        offset = SegmentFormat.HeaderBytes;
        lastAt = 0;
        return true;
    }

    SegmentHeader? TryReadHeader(string of)
    {
        try
        {
            return SegmentFormat.Read(probe, of);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            // It is being made anew for another place in the log.
            return null;
        }
    }

    /// <summary>Whether the segment is the one that was read, and its last record taken is as it was.</summary>
    bool IsStillThere()
    {
        using var file = TryOpenCurrent();
        if (file is null) return false;
        if (lastAt == 0) return true;
        var last = probe.AsSpan(0, lastHeader.Length);
        return file.Read(lastAt, last) == last.Length && last.SequenceEqual(lastHeader);
    }

    ILogFile? TryOpenCurrent()
    {
        var file = TryOpen(path);
        if (file is null) return null;
        if (file.Read(0, probe) == probe.Length
            && (probe.AsSpan().SequenceEqual(identity) || lastAt == 0 && IsReplacement()))
            return file;
        file.Dispose();
        return null;
    }

    /// <summary>A segment without records may be replaced by one of the same place: a new epoch began there.</summary>
    bool IsReplacement()
    {
        if (TryReadHeader(path) is not { } found || found.LogId != header.LogId || found.FirstLsn != header.FirstLsn)
            return false;
        header = found;
        probe.CopyTo(identity, 0);
        return true;
    }

    ILogFile? TryOpen(string file)
    {
        try
        {
            return disk.Open(file, LogFileMode.Read);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            return null;
        }
    }

    /// <summary>Takes what is in this segment; false when it has changed under the reading.</summary>
    bool TryTakeGroups(RecordTaken take, RecordAwaited? stopBefore)
    {
        using var file = TryOpenCurrent();
        if (file is null) return false;
        if (!HasMore(file)) return true;
        using var reader = new SegmentReader(file, header.Seed);
        var at = offset;
        var lsn = NextLsn;
        while (reader.TryReadAt(at, out var record, out var size) && record.Lsn == lsn)
        {
            at += size;
            lsn++;
            if (record.Continues) continue;
            if (hasStopped = stopBefore?.Invoke(record) == true) return true;
            if (lsn == NextLsn + 1)
            {
                take(record);
                Pass(reader, size);
            }
            else if (!TryTakeGroup(reader, lsn, take)) return false;
        }
        return true;
    }

    bool TryTakeGroup(SegmentReader reader, ulong end, RecordTaken take)
    {
        while (NextLsn < end)
        {
            if (!reader.TryReadAt(offset, out var record, out var size) || record.Lsn != NextLsn) return false;
            IsWithinGroup = true;
            take(record);
            Pass(reader, size);
        }
        IsWithinGroup = false;
        return true;
    }

    bool HasMore(ILogFile file)
    {
        var next = probe.AsSpan(0, RecordFormat.HeaderBytes);
        return file.Read(offset, next) == next.Length && RecordFormat.Peek(next).Lsn == NextLsn;
    }

    void Pass(SegmentReader reader, int size)
    {
        reader.BytesAt(offset, RecordFormat.HeaderBytes)[..RecordFormat.HeaderBytes].CopyTo(lastHeader);
        lastAt = offset;
        offset += size;
        NextLsn++;
    }
}
