using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// A commit that is in the log and not yet in the page store: for each of its databases the overlay, never changed
/// again, and the version it made. A part without an overlay is the deletion of its database.
/// </summary>
internal sealed class PendingCommit(PendingPart[] parts)
{
    public readonly PendingPart[] Parts = parts;
    readonly Lock publishing = new();
    List<PendingCommit>? before;

    /// <summary>
    /// A version of this commit lies on one of <paramref name="earlier"/>, which is not published yet.
    /// </summary>
    public void Follow(PendingCommit earlier) => (before ??= []).Add(earlier);

    /// <summary>Whether it lies on commits that were not published when it was appended.</summary>
    public bool FollowsUnpublished => Volatile.Read(ref before) is not null;

    /// <summary>
    /// Publishes those that it lies on, then itself: each once, and in the order of the log, whichever thread comes
    /// first. The log is durable up to this commit.
    /// </summary>
    public void PublishInOrder(Action<PendingCommit> publish)
    {
        // From later to earlier ones only, so threads do not wait for each other in a circle.
        lock (publishing)
        {
            if (Ready) return;
            foreach (var earlier in before ?? []) earlier.PublishInOrder(publish);
            // They would keep each other in memory for ever.
            Volatile.Write(ref before, null);
            publish(this);
        }
    }

    /// <summary>The commit's last LSN.</summary>
    public ulong Lsn;

    /// <summary>Set when it is as durable as its writer asked for, and published.</summary>
    public volatile bool Ready;

    /// <summary>Its pages in the index of <see cref="PendingCommits"/>, which guards them.</summary>
    public PendingPage? Pages;

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

/// <summary>
/// One version of a page among the pending ones: in a chain of that page's versions, so that one is found by LSN and
/// the oldest leaves at once, and in a list of its commit's pages.
/// </summary>
internal sealed class PendingPage(ulong key, ulong lsn, PageOverlay overlay, PendingPage? older,
    PendingPage? nextOfCommit)
{
    public readonly ulong Key = key;
    public readonly ulong Lsn = lsn;
    public readonly PageOverlay Overlay = overlay;
    public readonly PendingPage? NextOfCommit = nextOfCommit;
    public PendingPage? Older = older;
    public PendingPage? Newer;
}

/// <summary>One database's share of a <see cref="PendingCommit"/>.</summary>
internal readonly record struct PendingPart(Database Database, PageOverlay? Overlay, DatabaseVersion? Version);
