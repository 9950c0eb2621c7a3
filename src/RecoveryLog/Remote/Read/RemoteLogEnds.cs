using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>
/// Finds the end of a remote's log: by listing as far as a listing shows, then segment by segment, which no stale
/// listing can mislead.
/// </summary>
internal static class RemoteLogEnds
{
    /// <summary>
    /// The end, and the last segment before it (null only when there is none yet; the caller disposes it).
    /// </summary>
    public static async ValueTask<(RemoteLogEnd End, RemoteSegment? Last)> FindEndAsync(
        this RemoteContext context, StoreObject store, CancellationToken cancellation = default)
    {
        var last = await FindOneAsync(context, store, cancellation);
        var end = last is null ? RemoteLogEnd.Start(store) : RemoteLogEnd.After(last.Header, last.Hash);
        if (last is not null && last.Header.LogId != store.LogId)
            throw RemoteFormat.Damaged(last.Name,
                $"it belongs to another log ({last.Header.LogId}, not {store.LogId})");
        for (; ; )
        {
            var next = await FetchAsync(context, end.NextLsn, cancellation);
            if (next is null) return (end, last);
            end.CheckFollows(next, store.LogId);
            last?.Dispose();
            last = next;
            end = RemoteLogEnd.After(next.Header, next.Hash);
        }
    }

    /// <summary>
    /// A segment near the end: the last one that a listing shows, from the newest hints on. The newest segment is never
    /// collected, so when nothing comes after the hints, the segment before them is still there.
    /// </summary>
    static async ValueTask<RemoteSegment?> FindOneAsync(RemoteContext context, StoreObject store,
        CancellationToken cancellation)
    {
        if (await NewestHintsAsync(context, cancellation) is not { } hints)
            return await FetchLastAsync(context, await context.ListAsync(RemoteNames.Segments, null, cancellation),
                cancellation);
        ulong before = hints.Start.BeforeLsn, from = before != 0 ? before : hints.Start.NextLsn;
        var near = await context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(from - 1), cancellation);
        return await FetchLastAsync(context, near, cancellation)
            ?? await FetchAsync(context, hints.Start.NextLsn, cancellation)
            ?? (before != 0 ? await FetchAsync(context, before, cancellation) : null)
            ?? await FetchLastAsync(context, await context.ListAsync(RemoteNames.Segments, null, cancellation),
                cancellation)
            // Hints before anything was shipped are fine; else there must be a segment, and "none" must not become
            // "begin anew".
            ?? (before == 0 && hints.Start.NextLsn == store.FirstLsn ? null
                : throw new RecoveryException(RecoveryError.Corrupt,
                    $"The remote {context.Store.Location} has hints of LSN {hints.Lsn}, but no segment of its log.",
                    "Look whether objects were deleted by hand or by a bucket's lifecycle rule; ship to a new prefix")
                { Path = context.Store.Location, Lsn = hints.Lsn });
    }

    /// <summary>The last one listed that is still there: a listing may show what was collected.</summary>
    static async ValueTask<RemoteSegment?> FetchLastAsync(RemoteContext context, List<ObjectInfo> listed,
        CancellationToken cancellation)
    {
        for (int i = listed.Count - 1; i >= 0; i--)
            if (RemoteNames.TryParseSegment(listed[i].Name, out ulong first)
                && await FetchAsync(context, first, cancellation) is { } found)
                return found;
        return null;
    }

    static ValueTask<RemoteSegment?> FetchAsync(RemoteContext context, ulong firstLsn,
        CancellationToken cancellation) =>
        context.RetryAsync(token
            => RemoteSegment.FetchAsync(context.Store, RemoteNames.Segment(firstLsn), context.OpenSpool, token),
                cancellation);

    /// <summary>
    /// The newest hints' header, or null when there are none. Damage counts as none: this only chooses where to look
    /// from.
    /// </summary>
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
                if (download is null
                    || await download.Body.ReadAtLeastAsync(start, start.Length, false, token) < start.Length)
                    return null;
                return RemoteHintsFormat.ReadHeader(start, listed[0].Name);
            }, cancellation);
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew) { return null; }
    }
}
