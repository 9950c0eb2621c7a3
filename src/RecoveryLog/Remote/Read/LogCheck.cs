using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>LSNs that a remote's log lacks.</summary>
/// <param name="FirstLsn">The first of them.</param>
/// <param name="LastLsn">The last of them.</param>
/// <param name="Why">What is known of them.</param>
internal sealed record LogHole(ulong FirstLsn, ulong LastLsn, string Why);

/// <summary>A part of the log that must be there, both ends included.</summary>
internal readonly record struct NeededLog(ulong FromLsn, ulong ToLsn);

/// <summary>
/// Reads every segment that a remote has, and finds what is damaged or missing. It goes on behind each problem, so that
/// one run names them all.
/// </summary>
/// <remarks>
/// A hole is damage when something needs its LSNs, and when what stands before it would have been collected first:
/// collection goes oldest first, and leaves only what a pin needs and the segments that fence an earlier writer.
/// </remarks>
internal sealed class LogCheck(RemoteContext context, StoreObject store, IReadOnlyList<NeededLog> needed,
    IReadOnlyList<NeededLog> pinned)
{
    readonly List<RecoveryException> problems = [];
    readonly List<LogHole> missing = [], gaps = [], collected = [];

    /// <summary>What is damaged or missing, each naming its object.</summary>
    public IReadOnlyList<RecoveryException> Problems => problems;

    /// <summary>LSNs that should be there.</summary>
    public IReadOnlyList<LogHole> Missing => missing;

    /// <summary>LSNs that were never shipped: the writer left a gap on purpose, and said so in the log.</summary>
    public IReadOnlyList<LogHole> Gaps => gaps;

    /// <summary>LSNs that nothing needs any more, between others that are still there.</summary>
    public IReadOnlyList<LogHole> Collected => collected;

    /// <summary>Segments that verified.</summary>
    public int Segments { get; private set; }

    /// <summary>Records in them.</summary>
    public long Records { get; private set; }

    /// <summary>Bytes of all segments that a listing shows: the work, for whoever shows progress.</summary>
    public static async ValueTask<IReadOnlyList<ObjectInfo>> ListAsync(RemoteContext context,
        CancellationToken cancellation = default) =>
        [.. (await context.ListAsync(RemoteNames.Segments, null, cancellation))
            .Where(s => RemoteNames.TryParseSegment(s.Name, out _))];

    /// <summary>Checks the segments of a listing, oldest first.</summary>
    public async Task RunAsync(IReadOnlyList<ObjectInfo> listed, Action<long>? progressed = null,
        CancellationToken cancellation = default)
    {
        Before? before = null;
        for (int at = 0; at < listed.Count;)
        {
            ulong first = LsnOf(listed[at]);
            if (before is { } known && first > known.NextLsn)
                await JudgeAsync(known, first - 1, listed[at].Name, cancellation);
            var rest = listed.Skip(at).ToList();
            try
            {
                if (await PlaceAsync(listed[at], cancellation) is { } start)
                    before = await ReadOnAsync(start, rest, before, progressed, cancellation);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
            {
                problems.Add(e);
                before = Damaged(first, rest);
            }
            // Behind what was read; a damaged segment counts as read, up to the next one listed.
            ulong reached = Math.Max(before?.NextLsn ?? 0, first + 1);
            while (at < listed.Count && LsnOf(listed[at]) < reached) at++;
        }
    }

    /// <summary>
    /// What stands before a place: how far it reaches, and whether collection would leave it where it is.
    /// </summary>
    readonly record struct Before(string Name, ulong FirstLsn, ulong NextLsn, bool IsTakeOver, bool IsDamaged);

    /// <summary>Reads segment after segment until one is missing or damaged; returns what was read last.</summary>
    async ValueTask<Before?> ReadOnAsync(RemoteLogEnd start, List<ObjectInfo> expected, Before? before,
        Action<long>? progressed, CancellationToken cancellation)
    {
        using var reader = new RemoteLogReader(context, store, start);
        reader.Expect(expected);
        while (true)
        {
            var position = reader.Position;
            try
            {
                using var segment = await reader.TryReadNextAsync(cancellation);
                if (segment is null) return before;
                progressed?.Invoke(segment.SizeBytes);
                before = Take(segment);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
            {
                string name = RemoteNames.Segment(position.NextLsn);
                problems.Add(await RestorePlanner.ExplainSegmentAsync(context, store, name, position, e, cancellation));
                return Damaged(position.NextLsn, expected);
            }
        }
    }

    /// <summary>A damaged segment is taken to reach up to the next one listed.</summary>
    static Before Damaged(ulong first, List<ObjectInfo> listed)
    {
        ulong next = listed.Select(LsnOf).FirstOrDefault(lsn => lsn > first);
        return new Before(RemoteNames.Segment(first), first, next == 0 ? first + 1 : next, IsTakeOver: false,
            IsDamaged: true);
    }

    Before Take(RemoteSegment segment)
    {
        var header = segment.Header;
        Segments++;
        if (header.IsGap)
        {
            gaps.Add(new LogHole(header.FirstLsn, header.LastLsn,
                $"never shipped: after an outage shipping started afresh ({segment.Name})"));
            return new Before(segment.Name, header.FirstLsn, header.NextLsn, false, false);
        }
        using var records = segment.OpenRecords();
        var isTakeOver = false;
        for (bool isFirst = true; records.TryRead(out var record); isFirst = false)
        {
            Records++;
            if (isFirst)
                isTakeOver = record.Kind == RecordKind.EpochBegan && segment.SizeBytes <= TakeOverSegment.BytesMax;
        }
        return new Before(segment.Name, header.FirstLsn, header.NextLsn, isTakeOver, false);
    }

    async ValueTask JudgeAsync(Before before, ulong last, string next, CancellationToken cancellation)
    {
        string name = RemoteNames.Segment(before.NextLsn);
        if (!await IsDamageAsync(before, last, cancellation))
        {
            collected.Add(new LogHole(before.NextLsn, last, "no hints that are there need it"));
            return;
        }
        var position = new RemoteLogEnd(before.NextLsn, default, 0, 0, before.FirstLsn);
        var problem = await RestorePlanner.ExplainSegmentAsync(context, store, name, position,
            new RecoveryException(RecoveryError.Corrupt,
                $"The object {name} is missing, and the log goes on with {next}")
            { Path = name }, cancellation);
        problems.Add(problem);
        missing.Add(new LogHole(before.NextLsn, last, problem.Message));
    }

    async ValueTask<bool> IsDamageAsync(Before before, ulong last, CancellationToken cancellation)
    {
        if (needed.Concat(pinned).Any(n => n.FromLsn <= last && before.NextLsn <= n.ToLsn)) return true;
        if (before.IsTakeOver || before.IsDamaged
            || pinned.Any(p => p.FromLsn < before.NextLsn && before.FirstLsn <= p.ToLsn))
            return false;
        // Collection may be at work this moment.
        return await context.RetryAsync(token => context.Store.HeadAsync(before.Name, token), cancellation) is not null;
    }

    /// <summary>Where reading begins; null when the segment is gone.</summary>
    async ValueTask<RemoteLogEnd?> PlaceAsync(ObjectInfo segment, CancellationToken cancellation) =>
        LsnOf(segment) == store.FirstLsn
            ? RemoteLogEnd.Start(store)
            : await RemotePlaces.PlaceOfSegmentAsync(context, segment.Name, cancellation);

    static ulong LsnOf(ObjectInfo segment) => RemoteNames.TryParseSegment(segment.Name, out ulong first) ? first : 0;
}
