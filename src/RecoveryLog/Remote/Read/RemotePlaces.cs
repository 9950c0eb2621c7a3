using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>Finds where in a remote's log to begin reading, for those who start in the middle of it.</summary>
internal static class RemotePlaces
{
    /// <summary>
    /// The place of the segment that holds an LSN, or of the next one when the log ends right before it. Null when that
    /// part of the log is not there any more (it was collected); throws NotFound when the log does not reach that far.
    /// </summary>
    public static async ValueTask<RemoteLogEnd?> PlaceOfAsync(
        this RemoteContext context, StoreObject store, ulong lsn, CancellationToken cancellation = default)
    {
        // Whoever stopped between two segments needs one request.
        if (await HeaderAsync(context, RemoteNames.Segment(lsn), cancellation) is { } exact) return Before(exact);
        var (end, last) = await context.FindEndAsync(store, cancellation);
        last?.Dispose();
        if (end.NextLsn == lsn) return end;
        if (end.NextLsn < lsn)
            throw new RecoveryException(RecoveryError.NotFound,
                $"LSN {lsn} is not in {context.Store.Location}, which ends at {end.LastLsn}.",
                "Name an earlier one, or check that the URL is right")
            { Path = context.Store.Location, Lsn = lsn };
        string? name = null;
        foreach (var entry in await context.ListAsync(RemoteNames.Segments, null, cancellation))
            if (RemoteNames.TryParseSegment(entry.Name, out ulong first) && first <= lsn) name = entry.Name;
        if (name is null || await HeaderAsync(context, name, cancellation) is not { } header) return null;
        return header.FirstLsn <= lsn && lsn <= header.LastLsn ? Before(header) : null;
    }

    /// <summary>
    /// The place of the first segment with a record of that time or later; the end of the log when there is none.
    /// </summary>
    public static async ValueTask<RemoteLogEnd> PlaceOfTimeAsync(
        this RemoteContext context, StoreObject store, DateTimeOffset time, CancellationToken cancellation = default)
    {
        long timeMs = time.ToUnixTimeMilliseconds();
        var listed = await SegmentsAsync(context, cancellation);
        int low = 0, high = listed.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            // One that vanished was collected, and so is older than what is looked for, or does not matter.
            if (await HeaderAsync(context, listed[middle].Name, cancellation) is { } header
                && header.LastTimeMs >= timeMs)
                high = middle;
            else low = middle + 1;
        }
        if (low < listed.Count && await HeaderAsync(context, listed[low].Name, cancellation) is { } found)
            return Before(found);
        var (end, last) = await context.FindEndAsync(store, cancellation);
        last?.Dispose();
        return end;
    }

    /// <summary>The place of the oldest segment that is there; the start of the log when there is none.</summary>
    public static async ValueTask<RemoteLogEnd> OldestPlaceAsync(this RemoteContext context, StoreObject store,
        CancellationToken cancellation = default)
    {
        // What is listed may be collected this moment: then a later listing shows what is left.
        for (var listed = await OldestAsync(); listed.Count > 0; listed = await OldestAsync())
            foreach (var entry in listed)
                if (await HeaderAsync(context, entry.Name, cancellation) is { } header) return Before(header);
        return RemoteLogEnd.Start(store);

        ValueTask<List<ObjectInfo>> OldestAsync()
            => context.ListAsync(RemoteNames.Segments, null, cancellation, most: 100);
    }

    /// <summary>The segments that a listing shows from a place on.</summary>
    public static async ValueTask<List<ObjectInfo>> SegmentsFromAsync(
        this RemoteContext context, RemoteLogEnd place, CancellationToken cancellation = default,
            int most = int.MaxValue) =>
        await context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(place.NextLsn - 1), cancellation, most);

    /// <summary>
    /// Throws NotFound when there are segments after a place whose own segment is not there: the log has a hole,
    /// because collection removed what stood here, or somebody else did.
    /// </summary>
    public static async ValueTask ThrowIfHoleAsync(this RemoteContext context, RemoteLogEnd place,
        CancellationToken cancellation = default)
    {
        string name = RemoteNames.Segment(place.NextLsn);
        var later = await context.ListAsync(RemoteNames.Segments, name, cancellation, most: 1);
        if (later.Count == 0) return;
        // It may have come just now.
        if (await context.RetryAsync(token => context.Store.HeadAsync(name, token), cancellation) is not null) return;
        throw new RecoveryException(RecoveryError.NotFound,
            $"The object {name} is not in {context.Store.Location}, which goes on with {later[0].Name}: "
            + "what stood between was collected.",
            "Start from a later state")
        { Path = name };
    }

    /// <summary>
    /// Whether the segment of a place is there, by a listing, which shows a hole as well: then throws NotFound, as
    /// <see cref="ThrowIfHoleAsync"/> does.
    /// </summary>
    public static async ValueTask<bool> IsThereAsync(this RemoteContext context, RemoteLogEnd place,
        CancellationToken cancellation = default)
    {
        var listed = await context.SegmentsFromAsync(place, cancellation, most: 1);
        if (listed.Count == 0) return false;
        if (listed[0].Name != RemoteNames.Segment(place.NextLsn)) await context.ThrowIfHoleAsync(place, cancellation);
        return true;
    }

    /// <summary>The newest hints up to an LSN that verify; null when there are none.</summary>
    public static async ValueTask<RemoteHints?> HintsUpToAsync(
        this RemoteContext context, StoreObject store, ulong lsn, CancellationToken cancellation = default)
    {
        foreach (var (hintsLsn, name, _, _) in await RemoteHintsReads.ListAsync(context, cancellation))
            if (hintsLsn <= lsn && await RemoteHintsReads.TryFetchAsync(context, name, store.LogId, cancellation)
                is { } hints)
                return hints;
        return null;
    }

    static async ValueTask<List<ObjectInfo>> SegmentsAsync(RemoteContext context, CancellationToken cancellation) =>
        [.. (await context.ListAsync(RemoteNames.Segments, null, cancellation))
            .Where(s => RemoteNames.TryParseSegment(s.Name, out _))];

    /// <summary>
    /// A reader that starts in the middle has nothing before its first segment to compare with but what that says
    /// itself.
    /// </summary>
    static RemoteLogEnd Before(in RemoteSegmentHeader header)
        => new(header.FirstLsn, header.Previous, header.Epoch, header.Author, 0);

    /// <summary>The place of a segment by its name; null when it is not there.</summary>
    internal static async ValueTask<RemoteLogEnd?> PlaceOfSegmentAsync(RemoteContext context, string name,
        CancellationToken cancellation) =>
        await HeaderAsync(context, name, cancellation) is { } header ? Before(header) : null;

    static ValueTask<RemoteSegmentHeader?> HeaderAsync(RemoteContext context, string name,
        CancellationToken cancellation) =>
        context.RetryAsync<RemoteSegmentHeader?>(async token =>
        {
            byte[] start = new byte[RemoteSegmentFormat.HeaderBytes];
            await using var download = await context.Store.GetAsync(name, 0, start.Length, token);
            if (download is null) return null;
            if (await download.Body.ReadAtLeastAsync(start, start.Length, false, token) < start.Length)
                throw new ObjectStoreException(ObjectStoreError.Unavailable, $"Object {name} arrived cut short");
            return RemoteSegmentFormat.ReadHeader(start, name);
        }, cancellation);
}
