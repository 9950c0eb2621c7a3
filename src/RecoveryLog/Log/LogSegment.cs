namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>One segment file of a local log.</summary>
internal sealed class LogSegment(string path, SegmentHeader header, long fileBytes)
{
    ulong lastLsn;

    internal string Path => path;
    internal SegmentHeader Header => header;
    internal ulong FirstLsn => header.FirstLsn;
    internal uint Seed { get; } = header.Seed;

    /// <summary>The file's size: for the current segment, the prewritten capacity.</summary>
    internal long FileBytes { get; set; } = fileBytes;

    /// <summary>The last record's LSN once the next segment exists; 0 before.</summary>
    internal ulong LastLsn
    {
        get => Volatile.Read(ref lastLsn);
        set => Volatile.Write(ref lastLsn, value);
    }
}
