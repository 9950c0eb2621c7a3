using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>
/// Where segments lately shipped begin, so that hints can name the one that a replay starts in without asking the
/// remote. Bounded: what was forgotten can be listed. Thread-safe.
/// </summary>
sealed class SegmentIndex
{
    /// <summary>At one segment a second, a day; 6 MB.</summary>
    const int MaxEntries = 100_000;

    readonly Lock gate = new();
    readonly List<RemoteLogEnd> starts = [];

    /// <summary>Starts with the place where the next segment will go.</summary>
    public SegmentIndex(RemoteLogEnd end) => starts.Add(end);

    /// <summary>Takes the place at which a segment was appended.</summary>
    public void Add(ulong firstLsn, RemoteLogEnd start)
    {
        lock (gate)
        {
            if (starts[^1].NextLsn != firstLsn) starts.Add(start);
            if (starts.Count > MaxEntries) starts.RemoveRange(0, MaxEntries / 10);
        }
    }

    /// <summary>
    /// The place of the segment that holds (or will hold) an LSN; null when it lies before what is known.
    /// </summary>
    public RemoteLogEnd? StartOf(ulong lsn, RemoteLogEnd end)
    {
        if (lsn >= end.NextLsn) return end;
        lock (gate)
        {
            int low = 0, high = starts.Count - 1;
            while (low <= high)
            {
                int middle = (low + high) / 2;
                if (starts[middle].NextLsn <= lsn) low = middle + 1; else high = middle - 1;
            }
            return high < 0 ? null : starts[high];
        }
    }

    /// <summary>Forgets the segments before the one that holds an LSN.</summary>
    public void ForgetBefore(ulong lsn)
    {
        lock (gate)
        {
            int keep = starts.FindLastIndex(s => s.NextLsn <= lsn);
            if (keep > 0) starts.RemoveRange(0, keep);
        }
    }
}
