using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>Whether a remote's log has the moment of a bookmark, and not another one with the same LSN.</summary>
internal static class BookmarkCheck
{
    /// <summary>
    /// Throws Invalid for a bookmark of another log, and NotFound when another writer has taken over before the
    /// bookmark's record was shipped. Where the segment with the LSN is gone, hints of that LSN speak for themselves.
    /// </summary>
    public static async ValueTask CheckAsync(this Bookmark bookmark, RemoteContext context, StoreObject store,
        CancellationToken cancellation)
    {
        if (!bookmark.IsOf(store.LogId))
            throw new RecoveryException(RecoveryError.Invalid,
                $"The bookmark {bookmark} is one of another log than that in {context.Store.Location} "
                    + $"({store.LogId}).",
                "Give a bookmark of this store, an LSN, or a time.")
            { Path = context.Store.Location, Lsn = bookmark.Lsn };
        if (await FindAsync(context, bookmark.Lsn, cancellation) is not { } segment
            || segment.Epoch == bookmark.Epoch) return;
        throw new RecoveryException(RecoveryError.NotFound,
            $"The bookmark {bookmark} is of epoch {bookmark.Epoch}, and LSN {bookmark.Lsn} in "
                + $"{context.Store.Location} was written in epoch {segment.Epoch}: another writer took over before "
                + "what the bookmark names was shipped.",
            "`recovery salvage` shows what the earlier writer kept; `recovery log --commits` shows what is here.")
        { Path = context.Store.Location, Lsn = bookmark.Lsn };
    }

    /// <summary>The epoch in which a record was written; null when its segment is gone.</summary>
    public static async ValueTask<ulong?> EpochOfAsync(RemoteContext context, ulong lsn,
        CancellationToken cancellation) => (await FindAsync(context, lsn, cancellation))?.Epoch;

    /// <summary>The header of the segment that holds an LSN; null when there is none.</summary>
    static async ValueTask<RemoteSegmentHeader?> FindAsync(RemoteContext context, ulong lsn,
        CancellationToken cancellation)
    {
        string? name = null;
        foreach (var entry in await context.ListAsync(RemoteNames.Segments, null, cancellation))
            if (RemoteNames.TryParseSegment(entry.Name, out ulong first) && first <= lsn) name = entry.Name;
        if (name is null) return null;
        return await RemoteSegmentHeads.FetchAsync(context, name, cancellation) is { } header
            && header.FirstLsn <= lsn && lsn <= header.LastLsn ? header : null;
    }
}
