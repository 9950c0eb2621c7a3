using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>
/// Finds out how a state can be restored from a remote, and, when something is damaged, what can be restored instead.
/// </summary>
internal static class RestorePlanner
{
    /// <summary>
    /// Plans a restore. Throws NotFound when there is no remote, no hints, or no such state; Corrupt when something
    /// that is needed is damaged or missing, naming the object, what it holds, and the nearest state that verifies.
    /// <paramref name="hintsLsn"/> starts from certain hints; 0 is the beginning of the log, where what comes before
    /// the first hints is restored from.
    /// </summary>
    public static async Task<RestorePlan> PlanAsync(
        RemoteContext context, RestoreTarget target, ulong? hintsLsn = null, CancellationToken cancellation = default)
    {
        var store = await StoreOrThrowAsync(context, cancellation);
        if (target.Bookmark is { } bookmark) await bookmark.CheckAsync(context, store, cancellation);
        var end = await TryFindEndAsync(context, store, cancellation);
        if (target.Lsn > end?.LastLsn)
            throw new RecoveryException(RecoveryError.NotFound,
                $"LSN {target.Lsn} is not in {context.Store.Location}, which ends at {end?.LastLsn}.",
                "Restore that instead")
            { Path = context.Store.Location, Lsn = target.Lsn };
        var listed = await RemoteHintsReads.ListAsync(context, cancellation);
        var notes = new List<string>();
        int at = hintsLsn is { } wanted
            ? listed.FindIndex(h => h.Lsn == wanted)
            : await ChooseAsync(context, listed, target, cancellation);
        for (; ; at++)
        {
            if (at < 0 || at == listed.Count)
            {
                if (hintsLsn is null or 0 && await TryBeginningAsync(context, store, cancellation) is { } beginning)
                    return await FinishAsync(context, store, target, beginning, end, notes, cancellation);
                throw NoHints(context, listed, target, hintsLsn);
            }
            var hints = await FetchAsync(context, store, listed, at, cancellation);
            if (hints is null) continue;
            if (target.TimeMs < hints.Header.TimeMs) continue;
            var missing = await FindMissingAsync(context, hints, cancellation);
            if (missing is null) return await FinishAsync(context, store, target, hints, end, notes, cancellation);
            ThrowIfExpired(context, store, missing.Value);
            // A writer that was fenced while it published may have left hints whose extents its successor collected:
            // they never counted.
            if (!(end?.Epoch > hints.Header.Epoch) || hintsLsn is not null)
                throw await ExplainExtentAsync(context, store, hints, missing.Value,
                    new RecoveryException(RecoveryError.Corrupt,
                        $"The object {missing.Value.Name} is missing or has another size")
                    { Path = missing.Value.Name }, cancellation);
            notes.Add($"The hints of LSN {hints.Header.Lsn} were left by a fenced writer, and were passed over");
        }
    }

    static async Task<StoreObject> StoreOrThrowAsync(RemoteContext context, CancellationToken cancellation) =>
        await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
            ?? throw new RecoveryException(RecoveryError.NotFound,
                $"There is no remote at {context.Store.Location}: store.json is missing.",
                "Check the URL")
            { Path = context.Store.Location };

    /// <summary>
    /// Plans where a reader begins that goes on with the log by itself: the newest hints, and what a listing shows of
    /// the log after them. Nobody looks whether all that they need is there. Null when that takes
    /// <see cref="PlanAsync"/>.
    /// </summary>
    /// <param name="context">The remote.</param>
    /// <param name="store">What it says of itself.</param>
    /// <param name="listing">A listing of its hints that somebody has begun (<see cref="NewestHintsAsync"/>).</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<RestorePlan?> TryPlanNewestAsync(RemoteContext context, StoreObject store,
        Task<ulong?> listing, CancellationToken cancellation = default)
    {
        if (await listing is not { } lsn) return null;
        // The log that hints need begins a little before them at most, as a rule.
        var from = lsn > NearLsns ? lsn - NearLsns : 1;
        var near = context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(from - 1), cancellation).AsTask();
        RemoteHints? hints;
        try
        {
            hints = await RemoteHintsReads.TryFetchAsync(context, RemoteNames.HintsAt(lsn), store.LogId, cancellation);
        }
        finally
        {
            await ((Task)near).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        if (hints is null) return null;
        var needed = hints.Header.Start.NextLsn;
        var plan = needed < from
            ? await FinishAsync(context, store, RestoreTarget.Newest, hints, null, [], cancellation)
            : new RestorePlan(context, store, RestoreTarget.Newest, hints, null, [.. (await near)
                .Where(s => RemoteNames.TryParseSegment(s.Name, out var first) && first >= needed)], []);
        if (plan.Segments.Count == 0) return plan;
        // A writer that was fenced while it published may have left hints whose extents its successor collected.
        var next = await RemotePlaces.PlaceOfSegmentAsync(context, plan.Segments[0].Name, cancellation);
        return next?.Epoch == hints.Header.Epoch ? plan : null;
    }

    /// <summary>The LSN of the newest hints; null when there are none. Needs nothing else of the remote.</summary>
    public static async Task<ulong?> NewestHintsAsync(RemoteContext context, CancellationToken cancellation = default)
        => await RemoteHintsReads.ListAsync(context, cancellation) is [var newest, ..] ? newest.Lsn : null;

    const ulong NearLsns = 4096;

    static void ThrowIfExpired(RemoteContext context, StoreObject store, Extent missing)
    {
        if (store.Branch is { Expires: { } expired } && expired < context.Time.GetUtcNow())
            throw new RecoveryException(RecoveryError.NotFound,
                $"The branch {context.Store.Location} has expired ({expired:u}), and its parent "
                    + $"{store.Branch.Parent} no longer keeps {missing.Name}.",
                "Branch again, or restore the parent")
            { Path = missing.Name };
    }

    /// <summary>
    /// The end; null when the newest segment is damaged. That matters only to who wants what is in it, and the replay
    /// will say so.
    /// </summary>
    static async ValueTask<RemoteLogEnd?> TryFindEndAsync(RemoteContext context, StoreObject store,
        CancellationToken cancellation)
    {
        try
        {
            var (end, last) = await context.FindEndAsync(store, cancellation);
            last?.Dispose();
            return end;
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew) { return null; }
    }

    /// <summary>
    /// The newest hints from which the target can be reached: by LSN from the names alone, by time with a search among
    /// them.
    /// </summary>
    static async ValueTask<int> ChooseAsync(
        RemoteContext context, List<(ulong Lsn, string Name, DateTimeOffset Published, long SizeBytes)> listed,
            RestoreTarget target, CancellationToken cancellation)
    {
        if (target.TimeMs is not { } time) return listed.FindIndex(h => !(h.Lsn > target.Lsn));
        int low = 0, high = listed.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (await TimeOfAsync(context, listed[middle].Name, cancellation) is { } t && t <= time)
                high = middle;
            else low = middle + 1;
        }
        return low < listed.Count ? low : -1;
    }

    /// <summary>The log's beginning, as long as the log is there from its first record on.</summary>
    static async ValueTask<RemoteHints?> TryBeginningAsync(RemoteContext context, StoreObject store,
        CancellationToken cancellation)
    {
        if (RemoteHints.Beginning(store) is not { } beginning) return null;
        ulong next = store.FirstLsn;
        foreach (var segment in await context.ListAsync(RemoteNames.Segments, null, cancellation))
        {
            if (segment.Name != RemoteNames.Segment(next)) return null;
            // Collection goes by age, but leaves segments in which nothing but an epoch began: what follows one may be
            // gone.
            if (await TakeOverSegment.TryReadAsync(context, segment.Name, segment.SizeBytes, cancellation)
                is { } header)
                next = header.NextLsn;
            // A listing may still show what was deleted.
            else return await context.RetryAsync(token => context.Store.HeadAsync(segment.Name, token), cancellation)
                is null ? null : beginning;
        }
        return next > store.FirstLsn ? beginning : null;
    }

    static async ValueTask<long?> TimeOfAsync(RemoteContext context, string name, CancellationToken cancellation) =>
        await context.RetryAsync<long?>(async token =>
        {
            byte[] start = new byte[RemoteHintsFormat.HeaderBytes];
            await using var download = await context.Store.GetAsync(name, 0, start.Length, token);
            if (download is null) return null;
            if (await download.Body.ReadAtLeastAsync(start, start.Length, false, token) < start.Length)
                throw new ObjectStoreException(ObjectStoreError.Unavailable, $"Object {name} arrived cut short");
            return RemoteHintsFormat.ReadHeader(start, name).TimeMs;
        }, cancellation);

    static async ValueTask<RemoteHints?> FetchAsync(RemoteContext context, StoreObject store,
        List<(ulong Lsn, string Name, DateTimeOffset Published, long SizeBytes)> listed, int at,
            CancellationToken cancellation)
    {
        try { return await RemoteHintsReads.FetchAsync(context, listed[at].Name, store.LogId, cancellation); }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
        {
            string nearest = await NearestAsync(context, store, listed[at].Lsn, cancellation);
            throw new RecoveryException(e.Error,
                $"{e.Message}. It held the hints of LSN {listed[at].Lsn}, published {listed[at].Published:u}.",
                    nearest, e)
            { Path = listed[at].Name, Lsn = listed[at].Lsn };
        }
    }

    /// <summary>
    /// An extent that is not there, or not of its size; null when all are. One listing, and a second look at what it
    /// lacks.
    /// </summary>
    static async ValueTask<Extent?> FindMissingAsync(RemoteContext context, RemoteHints hints,
        CancellationToken cancellation)
    {
        if (hints.Extents.Count == 0) return null;
        var listed = (await context.ListAsync(RemoteNames.Extents, null, cancellation))
            .ToDictionary(e => e.Name, e => e.SizeBytes, StringComparer.Ordinal);
        // A branch lists its own, and the rest lies in its parent.
        var rest = hints.Extents.Values
            .Where(e => !(listed.TryGetValue(e.Name, out long size) && size == e.SizeBytes)).ToList();
        Extent? missing = null;
        await Files.Extents.ForEachAsync(rest.Count, Looks, async (i, token) =>
        {
            var found = await context.RetryAsync(t => context.Store.HeadAsync(rest[i].Name, t), token);
            if (found?.SizeBytes != rest[i].SizeBytes) missing = rest[i];
        }, cancellation);
        return missing;
    }

    /// <summary>Objects looked at at a time.</summary>
    const int Looks = 16;

    static async ValueTask<RestorePlan> FinishAsync(RemoteContext context, StoreObject store, RestoreTarget target,
        RemoteHints hints,
        RemoteLogEnd? end, List<string> notes, CancellationToken cancellation)
    {
        var segments =
            await context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(hints.Header.Start.NextLsn - 1),
            cancellation);
        var needed = segments.Where(s => RemoteNames.TryParseSegment(s.Name, out ulong first) && !(target.Lsn < first))
            .ToList();
        return new RestorePlan(context, store, target, hints, end, needed, notes);
    }

    static RecoveryException NoHints(RemoteContext context,
        List<(ulong Lsn, string Name, DateTimeOffset Published, long SizeBytes)> listed, RestoreTarget target,
            ulong? hintsLsn) =>
        new(RecoveryError.NotFound, listed.Count == 0
            ? $"The remote {context.Store.Location} has no hints, and not all of its log, so nothing can be restored "
                + "from "
                + "it: its writer has not published any yet, or they were deleted. This is not an empty database"
            : hintsLsn is { } lsn
            ? $"{context.Store.Location} has no hints of LSN {lsn}; it has those of "
                + $"{string.Join(", ", listed.Take(10).Select(h => h.Lsn))}"
            : $"{target} cannot be restored from {context.Store.Location} any more: its oldest hints are of LSN "
                + $"{listed[^1].Lsn} (published {listed[^1].Published:u}). Restore that or a later state")
        { Path = context.Store.Location, Lsn = hintsLsn ?? target.Lsn };

    internal static async ValueTask<RecoveryException> ExplainExtentAsync(
        RemoteContext context, StoreObject store, RemoteHints hints, Extent extent, RecoveryException cause,
            CancellationToken cancellation)
    {
        string file = hints.Hints.Files.FirstOrDefault(f => f.Fnode == extent.Fnode)?.Name ?? "a file";
        string nearest = await NearestAsync(context, store, hints.Header.Lsn, cancellation);
        return new RecoveryException(RecoveryError.Corrupt,
            $"{cause.Message}. It holds {file} (fnode {extent.Fnode:x16}, {extent.SizeBytes} bytes), "
            + $"which the hints of LSN {hints.Header.Lsn} need.{WhereBegun(store)}", nearest, cause)
        { Path = extent.Name, Lsn = hints.Header.Lsn };
    }

    /// <summary>A branch finds what it began with by the way from its own place to its parent's.</summary>
    static string WhereBegun(StoreObject store) => store.Branch is { } branch
        ? $" This remote is a branch of {branch.Parent}, which has what it began with: where one of both was moved or "
            + "deleted, that is not found."
        : "";

    internal static async ValueTask<RecoveryException> ExplainSegmentAsync(
        RemoteContext context, StoreObject store, string name, RemoteLogEnd before, RecoveryException cause,
            CancellationToken cancellation)
    {
        var later = await context.ListAsync(RemoteNames.Segments, name, cancellation, most: 1);
        string to = later.Count > 0 && RemoteNames.TryParseSegment(later[0].Name, out ulong next)
            ? $"{next - 1}"
            : "the end";
        string after = "";
        foreach (var (lsn, hintsName, _, _) in (await RemoteHintsReads.ListAsync(context, cancellation)).AsEnumerable()
            .Reverse())
        {
            if (lsn < before.NextLsn
                || await RemoteHintsReads.TryFetchAsync(context, hintsName, store.LogId, cancellation) is not { } hints
                || hints.Header.Start.NextLsn <= before.NextLsn) continue;
            after = $"; states from LSN {lsn} on can be restored from later hints (--hints {lsn})";
            break;
        }
        return new RecoveryException(cause.Error,
            $"{cause.Message}. It holds LSNs {before.NextLsn} to {to}.",
            (before.LastLsn == 0
                ? "There is no state before it"
                : $"The nearest state before it is LSN {before.LastLsn} (--lsn {before.LastLsn})") + after,
            cause)
        { Path = name, Lsn = before.NextLsn };
    }

    /// <summary>The newest hints before an LSN that verify, with everything that they need, in words.</summary>
    static async ValueTask<string> NearestAsync(RemoteContext context, StoreObject store, ulong beforeLsn,
        CancellationToken cancellation)
    {
        foreach (var (lsn, name, _, _) in await RemoteHintsReads.ListAsync(context, cancellation))
        {
            if (lsn >= beforeLsn || await RemoteHintsReads.TryFetchAsync(context, name, store.LogId, cancellation)
                is not { } older)
                continue;
            if (await FindMissingAsync(context, older, cancellation) is not null) continue;
            return $"The hints of LSN {lsn} verify: restore from them (--hints {lsn}), which reaches the same states "
                + "by replaying more of the log";
        }
        return await TryBeginningAsync(context, store, cancellation) is not null
            ? "The log is there from its beginning: restore from that (--hints 0), which reaches the same states by "
                + "replaying all of it"
            : "No older hints verify";
    }
}
