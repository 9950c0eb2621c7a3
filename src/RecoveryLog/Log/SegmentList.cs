namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// A log's segments, oldest first, and who still needs which of them. The last one is appended to. Holds no file: what
/// is dropped here is still on the disk. Thread-safe, by a lock of its own that is taken last.
/// </summary>
internal sealed class SegmentList(string directory, long bytesMax)
{
    readonly Lock gate = new();
    readonly List<LogSegment> segments = [];
    readonly List<LogHold> holds = [];
    ulong dropBefore;        // the highest LSN asked for
    long sizeBytes;

    /// <summary>The oldest record that is still there (or will be the first).</summary>
    public ulong FirstLsn
    {
        get
        {
            lock (gate)
                return segments[0].FirstLsn;
        }
    }

    /// <summary>Bytes of all segments' files.</summary>
    public long SizeBytes => Volatile.Read(ref sizeBytes);

    /// <summary>Takes what an opened log consists of.</summary>
    public void Begin(IEnumerable<LogSegment> found)
    {
        lock (gate)
        {
            segments.AddRange(found);
            CountBytes();
        }
    }

    /// <summary>
    /// The log goes on in another segment. A last segment without a record is replaced by it: both have the same file.
    /// </summary>
    public void Add(LogSegment next)
    {
        lock (gate)
        {
            var last = segments[^1];
            if (last.FirstLsn == next.FirstLsn)
                segments.RemoveAt(segments.Count - 1);
            last.LastLsn = next.FirstLsn - 1;
            segments.Add(next);
            CountBytes();
        }
    }

    /// <summary>A segment's file has another size.</summary>
    public void Resize(LogSegment segment, long fileBytes)
    {
        lock (gate)
        {
            segment.FileBytes = fileBytes;
            CountBytes();
        }
    }

    /// <summary>The segment that has an LSN, or will have it. Throws NotFound when it was dropped.</summary>
    public LogSegment With(ulong lsn)
    {
        lock (gate)
        {
            var i = segments.FindLastIndex(s => s.FirstLsn <= lsn);
            return i >= 0 ? segments[i] : throw new RecoveryException(RecoveryError.NotFound,
                $"LSN {lsn} is no longer in the log in {directory}.",
                "Start from newer hints, or read it from the remote.")
            { Path = directory, Lsn = lsn };
        }
    }

    /// <summary>
    /// Keeps the records from an LSN on until the hold moves or is disposed. Throws NotFound when they are gone.
    /// </summary>
    public LogHold Hold(string name, ulong lsn)
    {
        lock (gate)
        {
            if (lsn < segments[0].FirstLsn)
                throw new RecoveryException(RecoveryError.NotFound,
                    $"LSN {lsn} is no longer in the log in {directory}, which starts at {segments[0].FirstLsn}.",
                    "Start from newer hints, or read it from the remote.")
                { Path = directory, Lsn = lsn };
            var hold = new LogHold(this, name, lsn);
            holds.Add(hold);
            return hold;
        }
    }

    /// <summary>Forgets a hold.</summary>
    public void Release(LogHold hold)
    {
        lock (gate)
            holds.Remove(hold);
    }

    /// <summary>
    /// No replay needs records before an LSN any more. Takes the segments out that have only such records, and that no
    /// hold keeps; the last one always stays.
    /// </summary>
    public List<LogSegment> TakeUnneeded(ulong before)
    {
        var dropped = new List<LogSegment>();
        lock (gate)
        {
            dropBefore = Math.Max(dropBefore, before);
            var floor = dropBefore;
            foreach (var hold in holds)
                floor = Math.Min(floor, hold.Lsn);
            while (segments.Count > 1 && segments[1].FirstLsn <= floor)
            {
                dropped.Add(segments[0]);
                segments.RemoveAt(0);
            }
            CountBytes();
        }
        return dropped;
    }

    /// <summary>
    /// Throws Full when the log would be larger than it may be with so many bytes more, and says who keeps it from
    /// being dropped.
    /// </summary>
    public void CheckBound(long more)
    {
        if (bytesMax == long.MaxValue)
            return;
        lock (gate)
        {
            if (sizeBytes + more <= bytesMax)
                return;
            LogHold? oldest = null;
            foreach (var hold in holds)
                if (hold.Lsn < dropBefore && (oldest is null || hold.Lsn < oldest.Lsn))
                    oldest = hold;
            var why = oldest is null
                ? $"nothing before LSN {Math.Max(dropBefore, segments[0].FirstLsn)} could be dropped yet"
                : $"{oldest.Name} still needs the records from LSN {oldest.Lsn} on";
            throw new RecoveryException(RecoveryError.Full,
                $"The log in {directory} has {sizeBytes} bytes and may have {bytesMax} (max-local-log): {why}.",
                "When it ships to a remote, see whether that can be reached; else raise the bound or run a "
                + "checkpoint.")
            { Path = directory };
        }
    }

    /// <summary>
    /// About how many bytes of log the records from an LSN on take: exact to the share of one segment.
    /// <paramref name="written"/> is the newest record,
    /// <paramref name="end"/> where it ends in the last segment.
    /// </summary>
    public long EstimateBytesFrom(ulong lsn, ulong written, long end)
    {
        lock (gate)
        {
            double sum = 0;
            foreach (var segment in segments)
            {
                var isLast = segment.LastLsn == 0;
                var last = isLast ? written : segment.LastLsn;
                if (last < lsn || last < segment.FirstLsn)
                    continue;
                double records = last - segment.FirstLsn + 1, after = last - Math.Max(lsn, segment.FirstLsn) + 1;
                sum += (isLast ? end : segment.FileBytes) * (after / records);
            }
            return (long)sum;
        }
    }

    void CountBytes()
    {
        long sum = 0;
        foreach (var segment in segments)
            sum += segment.FileBytes;
        Volatile.Write(ref sizeBytes, sum);
    }
}
