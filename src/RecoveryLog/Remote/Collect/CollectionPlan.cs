using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Collect;

/// <summary>One object of a remote, and what collection makes of it.</summary>
/// <param name="Name">The object.</param>
/// <param name="SizeBytes">Its size.</param>
/// <param name="Delete">Whether it goes.</param>
/// <param name="Why">Why it goes, or what needs it.</param>
internal readonly record struct CollectionItem(string Name, long SizeBytes, bool Delete, string Why);

/// <summary>
/// What a collection would do now, and why. It is made from nothing but the remote itself, so a collection that was
/// killed anywhere is simply done again.
/// </summary>
/// <remarks>
/// Time is the object store's own: "now" is when the newest hints were created, so a wrong clock here deletes nothing
/// early. Hints are needed while they are within retention or were so less than the readers' grace ago. Extents are
/// needed by hints; those that no hints name yet may belong to hints that are being published, and stay for the grace
/// too. Extents of a higher epoch are not ours to judge.
/// </remarks>
internal sealed class CollectionPlan
{
    readonly List<CollectionItem> items = [];

    DateTimeOffset oldestNeeded = DateTimeOffset.MaxValue;

    CollectionPlan() { }

    /// <summary>All objects looked at.</summary>
    public IReadOnlyList<CollectionItem> Items => items;

    /// <summary>What goes.</summary>
    public IEnumerable<CollectionItem> Deletions => items.Where(i => i.Delete);

    /// <summary>The oldest hints that stay; 0 when the log stays from its beginning.</summary>
    public ulong OldestHintsLsn { get; private set; }

    /// <summary>
    /// Makes a plan. <paramref name="epoch"/> is the epoch whose writer asks; <paramref name="isKnown"/> tells extents
    /// (fnode, first 8 bytes of hash) that it holds for its next hints; <paramref name="published"/> are hints that
    /// must be there even if a listing does not show them yet. Throws, and so deletes nothing, when anything that may
    /// need something does not verify.
    /// </summary>
    public static async Task<CollectionPlan> MakeAsync(
        RemoteContext context, StoreObject store, Retention retention, ulong epoch, Func<ulong, ulong,
            bool>? isKnown = null,
        ulong? published = null, HintsCache? cache = null, CancellationToken cancellation = default)
    {
        cache ??= new HintsCache();
        // In this order: whatever comes to be after its listing is not in the plan, and hints, which need the others,
        // are seen last.
        var extents = await context.ListAsync(RemoteNames.Extents, null, cancellation);
        var segments = await context.ListAsync(RemoteNames.Segments, null, cancellation);
        var pins = await Pin.ListAsync(context, cancellation);
        var hints = await RemoteHintsReads.ListAsync(context, cancellation);
        if (published is { } lsn && hints.All(h => h.Lsn != lsn)
            && await context.RetryAsync(token => context.Store.HeadAsync(RemoteNames.HintsAt(lsn), token), cancellation)
            is { } unlisted)
            hints.Insert(hints.FindIndex(h => h.Lsn < lsn) is var at and >= 0 ? at : hints.Count,
                (lsn, unlisted.Name, unlisted.Modified, unlisted.SizeBytes));
        var plan = new CollectionPlan();
        if (hints.Count == 0)
        {
            // Without hints nobody knows what is needed. Absence never means "nothing".
            plan.KeepAll(extents.Concat(segments), "there are no hints yet");
            return plan;
        }
        var now = hints.Max(h => h.Published);
        // States before the first hints are restored from the log's beginning, which is no object: its name is empty.
        if (RemoteHints.Beginning(store) is not null && segments.Count > 0
            && segments[0].Name == RemoteNames.Segment(store.FirstLsn))
            hints.Add((0, "", segments[0].Modified, 0));
        var needs = new Needs();
        await plan.JudgeHintsAsync(context, store, cache, hints, retention, now, pins, needs, cancellation);
        // Between hints of a RocksDB's directory, a restore takes what was sealed since, whether hints ever named it.
        var between = store.Holds is null ? DateTimeOffset.MaxValue : plan.oldestNeeded - retention.ReaderGrace;
        plan.JudgeExtents(extents, needs, epoch, now - retention.ReaderGrace, between, isKnown);
        plan.JudgeSegments(segments, needs);
        await plan.KeepTakeOversAsync(context, cancellation);
        plan.JudgePins(pins, now);
        return plan;
    }

    void JudgePins(IReadOnlyDictionary<string, Pin> pins, DateTimeOffset now)
    {
        foreach (var (name, pin) in pins)
            items.Add(new(RemoteNames.Pin(name), 0, pin.Expires < now,
                pin.Expires is { } end ? $"expires {end:u}" : "kept for good"));
    }

    /// <summary>What is needed: extents by name, and ranges of LSNs.</summary>
    sealed class Needs
    {
        public Dictionary<string, string> Extents { get; } = new(StringComparer.Ordinal);
        public List<(ulong From, ulong To, string Why)> Log { get; } = [];

        public void Add(RemoteHints hints, ulong to, string why)
        {
            foreach (var extent in hints.Extents.Values) Extents.TryAdd(extent.Name, why);
            Log.Add((hints.Header.Start.NextLsn, to, why));
        }
    }

    async ValueTask JudgeHintsAsync(
        RemoteContext context, StoreObject store, HintsCache cache,
            List<(ulong Lsn, string Name, DateTimeOffset Published, long SizeBytes)> hints,
        Retention retention, DateTimeOffset now, IReadOnlyDictionary<string, Pin> pins, Needs needs,
            CancellationToken cancellation)
    {
        var reasons = new Dictionary<ulong, string>();
        ulong oldest = NeededByRetention(hints, retention, now, reasons);
        foreach (var (name, pin) in pins.Where(p => !(p.Value.Expires < now)))
        {
            int at = hints.FindIndex(h => h.Lsn <= pin.Lsn);
            if (at < 0) continue;
            reasons.TryAdd(hints[at].Lsn, $"pin {name}");
            var pinned = await FetchAsync(context, store, cache, hints[at].Name, cancellation);
            if (pinned is not null) needs.Add(pinned, pin.Onward ? ulong.MaxValue : pin.Lsn, $"needed by pin {name}");
        }
        foreach (var (lsn, name, published, size) in hints)
        {
            if (!reasons.TryGetValue(lsn, out string? why))
            {
                if (name.Length > 0)
                    items.Add(new(name, size, true,
                        $"hints of LSN {lsn}, published {published:u}, are out of retention"));
                continue;
            }
            if (name.Length > 0) items.Add(new(name, size, false, why));
            if (published < oldestNeeded) oldestNeeded = published;
            if (lsn < oldest) continue;
            // A listing may still show what was deleted.
            if (await FetchAsync(context, store, cache, name, cancellation) is { } kept)
                needs.Add(kept, ulong.MaxValue, name.Length > 0
                    ? $"needed by hints of LSN {lsn}"
                    : "needed for states before the first hints");
        }
        OldestHintsLsn = oldest;
    }

    /// <summary>
    /// Marks hints that are in retention, or were so less than the grace ago; returns the LSN of the oldest of them.
    /// </summary>
    static ulong NeededByRetention(
        List<(ulong Lsn, string Name, DateTimeOffset Published, long SizeBytes)> hints, Retention retention,
            DateTimeOffset now,
        Dictionary<ulong, string> reasons)
    {
        var horizon = now - retention.Keep - retention.ReaderGrace;
        ulong oldest = ulong.MaxValue;
        int settled = 0;
        bool coversHorizon = false;
        foreach (var (lsn, name, published, _) in hints)
        {
            string? why = null;
            // Those published within the grace do not count: when a reader chose, others were the newest.
            bool isSettled = name.Length > 0 && published <= now - retention.ReaderGrace;
            if (isSettled) settled++;
            if (published > horizon) why = "within retention";
            else if (!coversHorizon) why = "states at the end of retention start from here";
            else if (isSettled && settled <= Math.Max(1, retention.KeepHints))
                why = $"one of the newest {retention.KeepHints}";
            coversHorizon |= published <= horizon;
            if (why is null) continue;
            reasons[lsn] = why;
            oldest = Math.Min(oldest, lsn);
        }
        return oldest;
    }

    void JudgeExtents(List<ObjectInfo> extents, Needs needs, ulong epoch, DateTimeOffset youngerStay,
        DateTimeOffset between, Func<ulong, ulong, bool>? isKnown)
    {
        foreach (var entry in extents)
        {
            // A list lives as long as its extent.
            string extent = RemoteNames.ExtentOf(entry.Name);
            string? why = needs.Extents.GetValueOrDefault(extent);
            if (!RemoteNames.TryParseExtent(extent, out var parts)) why ??= "not an extent's name";
            else if (parts.Epoch > epoch) why ??= $"shipped in epoch {parts.Epoch}, which is not ours";
            else if (isKnown?.Invoke(parts.Fnode, parts.HashPrefix) == true) why ??= "the next hints name it";
            else if (entry.Modified >= between) why ??= "a restore between hints may need it";
            else if (entry.Modified > youngerStay) why ??= "shipped lately; hints may be about to name it";
            items.Add(new(entry.Name, entry.SizeBytes, why is null, why ?? "no hints that stay name it"));
        }
    }

    /// <summary>
    /// A segment reaches up to the next one listed; a listing that lacks one only makes the one before look longer, and
    /// stay.
    /// </summary>
    void JudgeSegments(List<ObjectInfo> segments, Needs needs)
    {
        var named = segments.Where(s => RemoteNames.TryParseSegment(s.Name, out _)).ToList();
        for (int i = 0; i < named.Count; i++)
        {
            RemoteNames.TryParseSegment(named[i].Name, out ulong first);
            ulong last = ulong.MaxValue;
            if (i + 1 < named.Count && RemoteNames.TryParseSegment(named[i + 1].Name, out ulong next)) last = next - 1;
            var need = needs.Log.FirstOrDefault(n => n.From <= last && first <= n.To);
            items.Add(new(named[i].Name, named[i].SizeBytes, need.Why is null && last != ulong.MaxValue, need.Why
                ?? (last == ulong.MaxValue ? "the newest" : "no hints that stay replay it")));
        }
    }

    /// <summary>
    /// A segment that only says that an epoch began stays for good: it has the very name that the writer before would
    /// create next, and so is what fences it, however long it sleeps.
    /// </summary>
    async ValueTask KeepTakeOversAsync(RemoteContext context, CancellationToken cancellation)
    {
        for (int i = 0; i < items.Count; i++)
        {
            var item = items[i];
            if (item.Delete && await TakeOverSegment.TryReadAsync(context, item.Name, item.SizeBytes, cancellation)
                is not null)
                items[i] = item with { Delete = false, Why = "fences the writer before it" };
        }
    }

    void KeepAll(IEnumerable<ObjectInfo> objects, string why)
    {
        foreach (var entry in objects) items.Add(new(entry.Name, entry.SizeBytes, false, why));
    }

    static async ValueTask<RemoteHints?> FetchAsync(
        RemoteContext context, StoreObject store, HintsCache cache, string name, CancellationToken cancellation)
    {
        if (name.Length == 0) return RemoteHints.Beginning(store);
        if (cache.Find(name) is { } known) return known;
        RemoteHints? hints;
        try { hints = await RemoteHintsReads.FetchAsync(context, name, store.LogId, cancellation); }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
        {
            throw new RecoveryException(e.Error,
                $"{e.Message} What it needs is not known, so nothing is collected.",
                "Remove the object when its state is not wanted any more", e)
            { Path = name };
        }
        if (hints is not null) cache.Add(name, hints);
        return hints;
    }
}

/// <summary>
/// Hints already fetched, without the bytes in them: they never change, and a collection needs all of them each time.
/// </summary>
internal sealed class HintsCache
{
    readonly Dictionary<string, RemoteHints> hints = new(StringComparer.Ordinal);

    internal RemoteHints? Find(string name) => hints.GetValueOrDefault(name);

    internal void Add(string name, RemoteHints fetched)
        => hints[name] = fetched with { Hints = fetched.Hints with { Files = [], Databases = [] } };

    internal void KeepOnly(HashSet<string> names)
    {
        foreach (string name in hints.Keys.Where(n => !names.Contains(n)).ToList()) hints.Remove(name);
    }
}
