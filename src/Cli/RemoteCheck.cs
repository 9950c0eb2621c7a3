using RecoveryVfs.Cli.Commands;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Cli;

/// <summary>
/// What `recovery verify` does: restores, fetches and reads, and names every problem instead of stopping at the first.
/// </summary>
internal sealed class RemoteCheck(RemoteAccess remote, RestorePlan plan, string directory, int parallelism)
{
    readonly List<string> problems = [];
    readonly KeptExtents kept = new(Path.Combine(directory, "kept"));
    int? files;
    string? note;

    /// <summary>The newest hints, the log after them, and a random few of their extents.</summary>
    public async Task<VerifyCommand.Report> SampleAsync(int most, CancellationToken cancellation)
    {
        var chosen = plan.Extents.ToArray();
        Random.Shared.Shuffle(chosen);
        chosen = chosen[..Math.Min(most, chosen.Length)];
        await FetchAsync(chosen, cancellation);
        var (records, reached) = (0L, (Lsn: plan.Hints.Header.Lsn, TimeMs: plan.Hints.Header.TimeMs));
        using (var progress = new Progress("reading the log", plan.Segments.Sum(s => s.SizeBytes)))
            await TryAsync(async () => reached =
                await plan.ReplayAsync((in Record _) => records++, progress.Add, cancellation));
        return new VerifyCommand.Report(Result, remote.Url, true, reached.Lsn, Text.FromMs(reached.TimeMs), 1, 0,
            chosen.Length, chosen.Sum(e => e.SizeBytes),
            plan.Segments.Count, records, null, problems, [], [], []);
    }

    /// <summary>Everything there is; with <paramref name="full"/> the tables of older states are opened, too.</summary>
    public async Task<VerifyCommand.Report> EverythingAsync(bool full, CancellationToken cancellation)
    {
        (ulong Lsn, DateTimeOffset? Time, IReadOnlyList<RestoredDatabase>? Databases) newest =
            (plan.LastLsn, null, null);
        plan.ListProblem = e => Add(e.Message);
        if (full) plan.Kept = kept;
        await TryAsync(async () => newest = await RestoreAsync(cancellation));
        KnownHints hints;
        using (new Progress("looking at older hints")) hints = await OlderHintsAsync(cancellation);
        var known = plan.Extents.Select(e => e.Name).ToHashSet();
        var others = hints.Plans.SelectMany(p => p.Extents).Where(e => !known.Contains(e.Name)).DistinctBy(e => e.Name)
            .ToArray();
        var loose = IsOfRocksDb
            ? await LooseAsync([.. known, .. others.Select(e => e.Name)], cancellation)
            : (Count: 0, SizeBytes: 0L);
        var opened = 1;
        if (full) opened += await OpenOlderAsync(hints.Plans, [.. known], cancellation);
        else await FetchAsync(others, cancellation);
        var log = new LogCheck(remote.Context, plan.Store, hints.Needed, hints.Pinned);
        IReadOnlyList<ObjectInfo> segments;
        using (new Progress("listing the log")) segments = await LogCheck.ListAsync(remote.Context, cancellation);
        using (var progress = new Progress("reading the log", segments.Sum(s => s.SizeBytes)))
            await log.RunAsync(segments, progress.Add, cancellation);
        foreach (var problem in log.Problems) Add(problem.Message);
        return new VerifyCommand.Report(Result, remote.Url, false, newest.Lsn, newest.Time, hints.Plans.Count,
            opened, known.Count + others.Length + loose.Count,
            others.Sum(e => e.SizeBytes) + plan.Extents.Sum(e => e.SizeBytes) + loose.SizeBytes, log.Segments,
                log.Records, newest.Databases, problems, log.Missing, log.Gaps, log.Collected)
        { Files = files, Note = note };
    }

    bool IsOfRocksDb => plan.Store.Holds == StoreObject.RocksDb;

    string Result => problems.Count == 0 ? "ok" : "damaged";

    async Task<(ulong, DateTimeOffset?, IReadOnlyList<RestoredDatabase>?)> RestoreAsync(CancellationToken cancellation)
    {
        if (IsOfRocksDb)
        {
            using var progress = new Progress("restoring and reading", plan.FetchBytes);
            var proved = await DirectoryRestore.ProveAsync(plan, Path.Combine(directory, "rocksdb"), parallelism,
                progress.Add, cancellation);
            (files, note) = (proved.Files, proved.Note);
            return (proved.Lsn, Text.FromMs(proved.UnixTimeMs), null);
        }
        var store = Path.Combine(directory, "store");
        var result = await RestoredStore.RestoreAsync(plan, store, parallelism, Progress.Begin, cancellation);
        var databases = RestoredStore.Verify(store, Progress.Begin, cancellation);
        using (new Progress("removing what was restored")) Directory.Delete(store, recursive: true);
        return (result.Lsn, Text.FromMs(result.UnixTimeMs), databases);
    }

    /// <summary>
    /// Opens the tables of each older state, the newest of them first. What states have in common is fetched once, and
    /// lies on the disk for as long as the next one has it. Returns how many states there are.
    /// </summary>
    async Task<int> OpenOlderAsync(List<RestorePlan> plans, HashSet<string> known, CancellationToken cancellation)
    {
        var older = plans.Where(p => p.Hints.Header.Lsn < plan.Hints.Header.Lsn)
            .OrderByDescending(p => p.Hints.Header.Lsn).ToList();
        foreach (var each in older)
        {
            kept.DropAllBut(each.Extents);
            // All that is damaged is named, not only what opening meets first.
            await FetchAsync([.. each.Extents.Where(e => known.Add(e.Name))], cancellation);
            each.Kept = kept;
            await TryAsync(() => OpenTablesAsync(each, cancellation));
        }
        return older.Count;
    }

    /// <summary>
    /// A RocksDB's tables ship as they are sealed: those of states between two hints are named by no hints.
    /// </summary>
    async Task<(int Count, long SizeBytes)> LooseAsync(HashSet<string> known, CancellationToken cancellation)
    {
        var extents = await plan.ListExtentsAsync(cancellation);
        var loose = extents.Except(known);
        Directory.CreateDirectory(directory);
        using var progress = new Progress("checking extents after hints", loose.Sum(e => e.SizeBytes));
        await Parallel.ForEachAsync(loose,
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellation },
            (extent, token) => new ValueTask(TryAsync(async () => await extents.CheckAsync(extent.Name,
                extent.SizeBytes, Path.Combine(directory, Path.GetFileName(extent.Name)), progress.Add, token))));
        return (loose.Count, loose.Sum(e => e.SizeBytes));
    }

    /// <summary>Fetches what hints list, and has it tried aside, as a restore does.</summary>
    async Task OpenTablesAsync(RestorePlan older, CancellationToken cancellation)
    {
        if (IsOfRocksDb)
        {
            using var reading = new Progress($"reading the state of LSN {older.Hints.Header.Lsn}", older.FetchBytes);
            await DirectoryRestore.ProveAsync(older.To(RestoreTarget.At(older.Hints.Header.Lsn)),
                Path.Combine(directory, "older"), parallelism, reading.Add, cancellation);
            return;
        }
        var state = new StoreOptions { Directory = Path.Combine(directory, "older") };
        try
        {
            using var progress = new Progress($"opening the state of LSN {older.Hints.Header.Lsn}",
                older.Extents.Sum(e => e.SizeBytes));
            await StoreRestore.PlaceFilesAsync(older, state, parallelism, progress.Add, cancellation);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt && !e.Message.Contains("extents/"))
        {
            throw e.Within($"The state of {older.Hints.Name} cannot be used: {e.Message}");
        }
        finally
        {
            if (Directory.Exists(state.Directory)) Directory.Delete(state.Directory, recursive: true);
        }
    }

    sealed record KnownHints(List<RestorePlan> Plans, List<NeededLog> Needed, List<NeededLog> Pinned);

    /// <summary>
    /// All hints, and which part of the log each promises: from there on, or, of those that only a pin keeps, up to the
    /// pinned state.
    /// </summary>
    async Task<KnownHints> OlderHintsAsync(CancellationToken cancellation)
    {
        var found = new KnownHints([], [new NeededLog(plan.Hints.Header.Start.NextLsn, ulong.MaxValue)], []);
        var pins = (await Pin.ListAsync(remote.Context, cancellation)).Values.ToList();
        var newer = ulong.MaxValue;
        foreach (var (lsn, _) in await remote.ListHintsAsync(cancellation))
        {
            // A fenced writer may have left newer ones, which never counted: the plan passed them over.
            if (lsn > plan.Hints.Header.Lsn) continue;
            await TryAsync(async () =>
            {
                var each = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, lsn, cancellation);
                found.Plans.Add(each);
                var from = each.Hints.Header.Start.NextLsn;
                var pinned = pins.Where(p => lsn <= p.Lsn && p.Lsn < newer).ToList();
                found.Pinned.AddRange(pinned.Select(p => new NeededLog(from, p.Onward ? ulong.MaxValue : p.Lsn)));
                if (pinned.All(p => p.Onward)) found.Needed.Add(new NeededLog(from, ulong.MaxValue));
            });
            newer = lsn;
        }
        return found;
    }

    async Task FetchAsync(Extent[] extents, CancellationToken cancellation)
    {
        Directory.CreateDirectory(directory);
        using var progress = new Progress("checking extents", extents.Sum(e => e.SizeBytes));
        var fetcher = new Extents(remote.Context) { ListProblem = e => Add(e.Message) };
        await Parallel.ForEachAsync(extents,
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellation },
            (extent, token) => new ValueTask(TryAsync(async () =>
        {
            var path = Path.Combine(directory, $"{extent.Fnode:x16}-{extent.Epoch:x16}-{extent.Hash.Prefix:x16}");
            await fetcher.FetchAsync(extent, path, progress.Add, token);
            if (plan.Kept is not null) kept.Keep(extent, path);
            File.Delete(path);
        })));
    }

    async Task TryAsync(Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew
            or RecoveryError.NotFound)
        {
            Add(e.Message);
        }
    }

    /// <summary>One object is one problem, however many steps stumble over it.</summary>
    void Add(string problem)
    {
        lock (problems)
            if (problems.All(p => ObjectIn(p) is not { } name || name != ObjectIn(problem))) problems.Add(problem);
    }

    static string? ObjectIn(string problem) =>
        problem.Split(' ', '.', ',', ':')
            .FirstOrDefault(w => w.StartsWith("log/", StringComparison.Ordinal)
            || w.StartsWith("extents/", StringComparison.Ordinal) || w.StartsWith("hints/", StringComparison.Ordinal));
}
