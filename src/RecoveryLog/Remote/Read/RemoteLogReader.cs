using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>
/// Reads a remote's log in order, verifying that each segment follows the one before it. Looking for a segment that is
/// not there yet costs one cheap request: a follower asks again, by name. Used by one caller at a time.
/// </summary>
internal sealed class RemoteLogReader(RemoteContext context, StoreObject store, RemoteLogEnd start) : IDisposable
{
    /// <summary>
    /// Segments fetched ahead when a listing shows that they are there: small ones cost a round trip each.
    /// </summary>
    public const int Ahead = 8;

    /// <summary>Bytes fetched ahead, at most: they are held in memory. One segment is always fetched.</summary>
    public const long AheadBytes = 32 << 20;

    readonly Queue<(ulong FirstLsn, long SizeBytes, Task<RemoteSegment?> Fetch)> ahead = new();
    readonly Queue<(ulong FirstLsn, long SizeBytes)> listed = new();
    long aheadBytes;

    /// <summary>Where the next segment must follow.</summary>
    public RemoteLogEnd Position { get; private set; } = start;

    /// <summary>Segments that are expected and were not read yet.</summary>
    public int ExpectedCount => ahead.Count + listed.Count;

    /// <summary>
    /// Tells which segments are there, so that they are fetched several at a time. Wrong or stale lists only cost time.
    /// </summary>
    public void Expect(IEnumerable<ObjectInfo> segments)
    {
        foreach (var segment in segments)
            if (RemoteNames.TryParseSegment(segment.Name, out ulong lsn) && lsn >= Position.NextLsn)
                listed.Enqueue((lsn, segment.SizeBytes));
    }

    /// <summary>
    /// The next segment, verified, or null when it is not there (yet). Throws Corrupt when it is damaged or does not
    /// follow. The caller disposes it.
    /// </summary>
    public async ValueTask<RemoteSegment?> TryReadNextAsync(CancellationToken cancellation = default)
    {
        FetchAhead(cancellation);
        RemoteSegment? segment = null;
        while (ahead.TryPeek(out var first) && first.FirstLsn <= Position.NextLsn)
        {
            ahead.Dequeue();
            aheadBytes -= first.SizeBytes;
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
        foreach (var (_, _, fetch) in ahead)
            fetch.ContinueWith(static done
                =>
            { if (done.IsCompletedSuccessfully) done.Result?.Dispose(); else _ = done.Exception; },
                    TaskScheduler.Default);
        ahead.Clear();
    }

    void FetchAhead(CancellationToken cancellation)
    {
        while (ahead.Count < Ahead && listed.TryPeek(out var next)
            && (ahead.Count == 0 || aheadBytes + next.SizeBytes <= AheadBytes))
        {
            listed.Dequeue();
            if (next.FirstLsn < Position.NextLsn) continue;
            ahead.Enqueue((next.FirstLsn, next.SizeBytes, FetchAsync(next.FirstLsn, cancellation).AsTask()));
            aheadBytes += next.SizeBytes;
        }
    }

    ValueTask<RemoteSegment?> FetchAsync(ulong firstLsn, CancellationToken cancellation) =>
        context.RetryAsync(token
            => RemoteSegment.FetchAsync(context.Store, RemoteNames.Segment(firstLsn), context.OpenSpool, token),
                cancellation);
}
