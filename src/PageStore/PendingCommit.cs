namespace RecoveryVfs.PageStore;

/// <summary>
/// A commit that is in the log and not yet in the page store: for each of its databases the overlay, never changed again, and the
/// version it made. A part without an overlay is the deletion of its database.
/// </summary>
internal sealed class PendingCommit(PendingPart[] parts)
{
    public readonly PendingPart[] Parts = parts;

    /// <summary>The commit's last LSN.</summary>
    public ulong Lsn;

    /// <summary>Set when it is as durable as its writer asked for, and published.</summary>
    public volatile bool Ready;

    /// <summary>Bytes of pages it holds in memory or spilled.</summary>
    public long PageBytes
    {
        get
        {
            long sum = 0;
            foreach (ref readonly var part in Parts.AsSpan()) sum += part.Overlay?.PageBytes ?? 0;
            return sum;
        }
    }
}

/// <summary>One database's share of a <see cref="PendingCommit"/>.</summary>
internal readonly record struct PendingPart(Database Database, PageOverlay? Overlay, DatabaseVersion? Version);
