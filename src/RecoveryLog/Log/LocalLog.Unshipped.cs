namespace RecoveryVfs.RecoveryLog.Log;

// What the shipper's lag is made of.
public sealed partial class LocalLog
{
    /// <summary>About how many bytes of log the records from an LSN on take: exact to the share of one segment.</summary>
    public long EstimateBytesFrom(ulong lsn)
    {
        var (written, end) = Written();
        if (lsn > written) return 0;
        lock (segmentsLock)
        {
            double sum = 0;
            foreach (var segment in segments)
            {
                bool isCurrent = segment.LastLsn == 0;
                ulong last = isCurrent ? written : segment.LastLsn;
                if (last < lsn || last < segment.FirstLsn) continue;
                double records = last - segment.FirstLsn + 1, after = last - Math.Max(lsn, segment.FirstLsn) + 1;
                sum += (isCurrent ? end : segment.FileBytes) * (after / records);
            }
            return (long)sum;
        }
    }
}
