namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// Keeps the log's records from an LSN on, for somebody who still has to read them (the shipper, a cursor).
/// </summary>
internal sealed class LogHold : IDisposable
{
    readonly SegmentList segments;
    ulong lsn;

    internal LogHold(SegmentList segments, string name, ulong lsn)
    {
        this.segments = segments;
        Name = name;
        this.lsn = lsn;
    }

    /// <summary>Who holds, as messages call it.</summary>
    public string Name { get; }

    /// <summary>The first LSN that is kept.</summary>
    public ulong Lsn => Volatile.Read(ref lsn);

    /// <summary>Lets go of the records before <paramref name="to"/>. Never moves back.</summary>
    public void Move(ulong to)
    {
        if (to > lsn)
            Volatile.Write(ref lsn, to);
    }

    /// <summary>Lets go of everything.</summary>
    public void Dispose() => segments.Release(this);
}
