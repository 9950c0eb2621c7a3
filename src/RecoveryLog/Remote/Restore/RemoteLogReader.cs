namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>
/// Reads a remote's log in order, verifying that each segment follows the one before it. Looking for a segment that is not there yet costs
/// one cheap request: a follower asks again, by name. Used by one caller at a time.
/// </summary>
public sealed class RemoteLogReader(RemoteContext context, StoreObject store, RemoteLogEnd start) : IDisposable
{
    /// <summary>Segments fetched ahead when a listing shows that they are there: small ones cost a round trip each.</summary>
    public const int Ahead = 8;

    readonly Queue<(ulong FirstLsn, Task<RemoteSegment?> Fetch)> ahead = new();
    readonly Queue<ulong> listed = new();

    /// <summary>Where the next segment must follow.</summary>
    public RemoteLogEnd Position { get; private set; } = start;

    /// <summary>Tells which segments are there, so that they are fetched several at a time. Wrong or stale lists only cost time.</summary>
    public void Expect(IEnumerable<ulong> firstLsns)
    {
        foreach (ulong lsn in firstLsns) if (lsn >= Position.NextLsn) listed.Enqueue(lsn);
    }

    /// <summary>
    /// The next segment, verified, or null when it is not there (yet). Throws Corrupt when it is damaged or does not follow. The caller
    /// disposes it.
    /// </summary>
    public async ValueTask<RemoteSegment?> TryReadNextAsync(CancellationToken cancellation = default)
    {
        FetchAhead(cancellation);
        RemoteSegment? segment = null;
        while (ahead.TryPeek(out var first) && first.FirstLsn <= Position.NextLsn)
        {
            ahead.Dequeue();
            var fetched = await first.Fetch;
            if (first.FirstLsn == Position.NextLsn) segment = fetched; else fetched?.Dispose();
        }
        // A list taken before the segment came says nothing of it.
        segment ??= await FetchAsync(Position.NextLsn, cancellation);
        if (segment is null) return null;
        try { Position.CheckFollows(segment, store.LogId); }
        catch
        {
            segment.Dispose();
            throw;
        }
        Position = RemoteLogEnd.After(segment.Header, segment.Hash);
        return segment;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, fetch) in ahead)
            fetch.ContinueWith(static done => { if (done.IsCompletedSuccessfully) done.Result?.Dispose(); else _ = done.Exception; }, TaskScheduler.Default);
        ahead.Clear();
    }

    void FetchAhead(CancellationToken cancellation)
    {
        while (ahead.Count < Ahead && listed.TryDequeue(out ulong lsn))
            if (lsn >= Position.NextLsn) ahead.Enqueue((lsn, FetchAsync(lsn, cancellation).AsTask()));
    }

    ValueTask<RemoteSegment?> FetchAsync(ulong firstLsn, CancellationToken cancellation) =>
        context.RetryAsync(token => RemoteSegment.FetchAsync(context.Store, RemoteNames.Segment(firstLsn), context.OpenSpool, token), cancellation);
}
