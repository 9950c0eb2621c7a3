using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>Compares a segment of the remote with the local log, record by record.</summary>
static class LocalMatch
{
    /// <summary>
    /// Whether the local log has exactly these records. Those that it has dropped already count as equal.
    /// </summary>
    public static bool Matches(LocalLog local, RemoteSegment segment)
    {
        if (segment.Header.LastLsn > local.LastLsn) return false;
        if (segment.Header.IsGap) return true;
        using var records = segment.OpenRecords();
        ulong oldest = local.FirstLsn;
        if (segment.Header.LastLsn < oldest) return true;
        local.Sync(segment.Header.LastLsn);
        using var cursor = local.ReadFrom(Math.Max(oldest, segment.Header.FirstLsn), name: "comparing with the remote");
        while (records.TryRead(out var theirs))
        {
            if (theirs.Lsn < cursor.NextLsn) continue;
            if (!cursor.TryRead(out var ours) || ours.Lsn != theirs.Lsn || ours.Kind != theirs.Kind
                || ours.Flags != theirs.Flags
                || ours.UnixTimeMs != theirs.UnixTimeMs || !ours.Body.SequenceEqual(theirs.Body))
                return false;
        }
        return true;
    }
}
