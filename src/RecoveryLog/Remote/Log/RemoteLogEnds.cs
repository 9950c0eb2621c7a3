namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>Finds the end of a remote's log: by listing as far as a listing shows, then segment by segment, which no stale listing can mislead.</summary>
public static class RemoteLogEnds
{
    /// <summary>The end, and the last segment before it (null when there is none yet; the caller disposes it).</summary>
    public static async ValueTask<(RemoteLogEnd End, RemoteSegment? Last)> FindEndAsync(
        this RemoteContext context, StoreObject store, CancellationToken cancellation = default)
    {
        var from = await NewestHintsAsync(context, cancellation) is { } hints ? hints.Start : RemoteLogEnd.Start(store);
        // From one before the segment that the hints start in, so that it is found itself.
        var listed = await context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(from.NextLsn - 1), cancellation);
        var end = from;
        RemoteSegment? last = null;
        string? name = listed.LastOrDefault(l => RemoteNames.TryParseSegment(l.Name, out _)).Name;
        // Without anything listed, the chain from the known place on is followed; with it, from the last one listed.
        for (name ??= RemoteNames.Segment(from.NextLsn); ; name = RemoteNames.Segment(end.NextLsn))
        {
            var next = await context.RetryAsync(token => RemoteSegment.FetchAsync(context.Store, name, context.OpenSpool, token), cancellation);
            if (next is null) return (end, last);
            if (last is not null || next.Header.FirstLsn == from.NextLsn) end.CheckFollows(next, store.LogId);
            else if (next.Header.LogId != store.LogId) throw RemoteFormat.Damaged(name, $"it belongs to another log ({next.Header.LogId}, not {store.LogId})");
            last?.Dispose();
            last = next;
            end = RemoteLogEnd.After(next.Header, next.Hash);
        }
    }

    /// <summary>The newest hints' header, or null when there are none. Damage counts as none: this only chooses where to look from.</summary>
    static async ValueTask<RemoteHintsHeader?> NewestHintsAsync(RemoteContext context, CancellationToken cancellation)
    {
        var listed = await context.ListAsync(RemoteNames.Hints, null, cancellation, most: 1);
        if (listed.Count == 0) return null;
        try
        {
            return await context.RetryAsync<RemoteHintsHeader?>(async token =>
            {
                byte[] start = new byte[RemoteHintsFormat.HeaderBytes];
                await using var download = await context.Store.GetAsync(listed[0].Name, 0, start.Length, token);
                if (download is null || await download.Body.ReadAtLeastAsync(start, start.Length, false, token) < start.Length) return null;
                return RemoteHintsFormat.ReadHeader(start, listed[0].Name);
            }, cancellation);
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew) { return null; }
    }
}
