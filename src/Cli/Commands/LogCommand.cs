using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Lists a log's segments, or the commits in it.</summary>
internal sealed class LogCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<bool> commits;
    readonly Option<int> last;
    readonly Option<ulong?> from, until;
    readonly Option<string?> database, around;

    public LogCommand() : base("log", "List the segments of a log, or its commits with LSN and time.")
    {
        target = Optional("URL|DIR", "A remote or a store (default: RECOVERY_REMOTE).");
        commits = Flag("--commits", "Show commits: LSN, time, database, pages and bytes.");
        last = Usually("--last", "N", 20, "Only the newest N (default 20; 0 for all).", "-n");
        from = Taking<ulong?>("--from", "LSN", "Not before this LSN.");
        until = Taking<ulong?>("--to", "LSN", "Not after this LSN.");
        around = Taking<string?>("--around", "TIME",
            "Only the commits next to a time, before and after it (as with --commits): 14:03, 'yesterday 14:00', "
                + "'10 minutes ago'.");
        database = WithDatabase("Only the commits of this database (as with --commits).");
        About = """
            Each LSN that --commits shows can be restored: recovery restore URL DIR --lsn N. A store's directory is
            asked first, and its remote for what its own log does not have any more. A database in WAL mode commits by
            writing to its -wal file: such commits are shown as any other, and checkpoints, which bring nothing new, are
            not.
            """;
        Examples = ["recovery log s3://bucket/app", "recovery log /data --commits -n 50 --database a.db",
            "recovery log /data --around '10 minutes ago' --database a.db"];
    }

    internal sealed record Segment(ulong FirstLsn, ulong? LastLsn, DateTimeOffset? FirstTime, DateTimeOffset? LastTime,
        ulong? Epoch, string? Author, long SizeBytes, long? LogBytes, string Name);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var name = parsed.GetValue(target);
        if (parsed.GetValue(last) < 0) throw new RecoveryException(RecoveryError.Invalid, "--last is 0 or more.");
        var isLocal = name is not null && !RemoteAccess.IsUrl(name);
        var near = parsed.GetValue(around) is { } text ? TimeText.Parse(text) : (DateTimeOffset?)null;
        if (near is not null || parsed.GetValue(commits) || parsed.GetValue(database) is not null)
        {
            var found = near is { } time ? await AroundAsync(parsed, name, isLocal, time, cancellation)
                : isLocal ? await LocalCommitsAsync(parsed, name!, to, cancellation)
                : await RemoteCommitsAsync(parsed, name, Most(parsed), parsed.GetValue(until), cancellation);
            if (parsed.GetValue(database) is { } wanted && found.Commits.Count == 0 && !found.Names.Contains(wanted))
                throw new RecoveryException(RecoveryError.NotFound,
                    $"There is no database {wanted} in {name ?? RemoteAccess.Default}; there are: "
                        + $"{Text.Some([.. found.Names])}.");
            Show(to, found.Commits);
            return ExitCode.Ok;
        }
        var segments = isLocal
            ? LocalSegments(parsed, StoreDirectory.Find(name!))
            : await RemoteSegmentsAsync(parsed, name, cancellation);
        to.Result(segments, Results.Json.Segments,
            s => to.Table(["FIRST LSN>", "LAST LSN>", "FROM", "TO", "EPOCH>", "SIZE>", "LOG>", "NAME"],
            s.Select(e => new[]
        {
            e.FirstLsn.ToString(CultureInfo.InvariantCulture), e.LastLsn?.ToString(CultureInfo.InvariantCulture) ?? "-",
            e.FirstTime is { } first ? Text.Time(first) : "-", e.LastTime is { } end ? Text.Time(end) : "-",
            e.Epoch?.ToString(CultureInfo.InvariantCulture) ?? "-", Text.Bytes(e.SizeBytes), e.LogBytes is { } log
                ? Text.Bytes(log)
                : "-", e.Name,
        })));
        return ExitCode.Ok;
    }

    static void Show(Output to, List<LoggedCommit> found) =>
        to.Result(found, Results.Json.Commits,
            commits => to.Table(["LSN>", "TIME", "DATABASE", "PAGES>", "BYTES>", "SIZE>"],
            commits.SelectMany(c => c.Databases.Select((d, i) => new[]
        {
            i == 0 ? c.Lsn.ToString(CultureInfo.InvariantCulture) : "", i == 0 ? Text.Time(c.Time) : "", d.Database,
            d.Pages.ToString(CultureInfo.InvariantCulture), d.Bytes.ToString(CultureInfo.InvariantCulture),
                Text.Bytes(d.SizeBytes),
        }))));

    bool IsWanted(ParseResult parsed, LoggedCommit commit) =>
        !(commit.Lsn < parsed.GetValue(from)) && !(commit.Lsn > parsed.GetValue(until))
        && (parsed.GetValue(database) is not { } name || commit.Databases.Any(d => d.Database == name));

    int Most(ParseResult parsed) => parsed.GetValue(last) is var most and > 0 ? most : int.MaxValue;

    /// <summary>
    /// A store's own log, and what is asked for beyond it from its remote. What the remote alone has is left out, with
    /// a note, while the remote cannot be reached.
    /// </summary>
    async Task<(List<LoggedCommit> Commits, IReadOnlyList<string> Names)> LocalCommitsAsync(ParseResult parsed,
        string name, Output to, CancellationToken cancellation)
    {
        var reading = new LogReading();
        var store = StoreDirectory.Find(name);
        store.ThrowUnlessDatabases();
        var (_, end) = store.ReadLog(reading.Start, reading.Take);
        var own = reading.Commits.Where(c => IsWanted(parsed, c)).TakeLast(Most(parsed)).ToList();
        var names = reading.Databases.Select(d => d.Name).ToList();
        var first = reading.Commits.Count > 0 ? reading.Commits[0].Lsn : (end?.LastLsn ?? 0) + 1;
        var isAll = own.Count >= Most(parsed) || end is not { FirstLsn: > 1 } || parsed.GetValue(from) >= first;
        if (isAll || store.RemoteUrl is null) return (own, names);
        try
        {
            var last = Math.Min(first - 1, parsed.GetValue(until) ?? ulong.MaxValue);
            var older = await RemoteCommitsAsync(parsed, name, Most(parsed) - own.Count, last, cancellation);
            return ([.. older.Commits, .. own], [.. names.Union(older.Names)]);
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Remote or RecoveryError.NotFound)
        {
            to.Note($"Commits before LSN {first} are in the remote only, which cannot be read: {e.Message}");
            return (own, names);
        }
    }

    List<Segment> LocalSegments(ParseResult parsed, StoreDirectory store)
    {
        var files = store.SegmentFiles();
        return [.. files.Select((f, i)
            => new Segment(f.FirstLsn, i + 1 < files.Count ? files[i + 1].FirstLsn - 1 : null, null, null, null, null,
                f.SizeBytes, null, f.Name))
            .Where(s => !(s.LastLsn < parsed.GetValue(from)) && !(s.FirstLsn > parsed.GetValue(until)))
            .TakeLast(Most(parsed))];
    }

    async Task<List<(ulong FirstLsn, ObjectInfo Object)>> ListAsync(ParseResult parsed, RemoteAccess remote,
        ulong? until, CancellationToken cancellation)
    {
        await remote.StoreAsync(cancellation);
        var all = await remote.ListSegmentsAsync(cancellation);
        // A segment reaches up to the next one.
        return [.. all.Where((s, i) => !(s.FirstLsn > until)
            && !(i + 1 < all.Count && all[i + 1].FirstLsn <= parsed.GetValue(from)))];
    }

    async Task<List<Segment>> RemoteSegmentsAsync(ParseResult parsed, string? name, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(name);
        var found = new List<Segment>();
        foreach (var (_, entry) in (await ListAsync(parsed, remote, parsed.GetValue(until), cancellation))
            .TakeLast(Most(parsed)))
        {
            if (await remote.FetchHeaderAsync(entry.Name, cancellation) is not { } h) continue;
            found.Add(new Segment(h.FirstLsn, h.LastLsn, Text.FromMs(h.FirstTimeMs), Text.FromMs(h.LastTimeMs), h.Epoch,
                h.Author.ToString("x16"),
                entry.SizeBytes, h.BodyBytes, entry.Name));
        }
        return found;
    }

    /// <summary>
    /// A store's own log is asked first; what is older than that, or whether there is anything, only its remote knows.
    /// </summary>
    async Task<(List<LoggedCommit> Commits, IReadOnlyList<string> Names)> AroundAsync(ParseResult parsed, string? name,
        bool isLocal, DateTimeOffset time, CancellationToken cancellation)
    {
        if (isLocal)
        {
            var reading = new LogReading();
            var store = StoreDirectory.Find(name!);
            store.ThrowUnlessDatabases();
            store.ReadLog(reading.Start, reading.Take);
            var near = Near([.. reading.Commits.Where(c => IsWanted(parsed, c))], Most(parsed), time);
            if (store.RemoteUrl is null || near.Commits.Count > 0 && near.HasAllBefore)
                return (near.Commits, [.. reading.Databases.Select(d => d.Name)]);
        }
        await using var remote = RemoteAccess.Open(name);
        await remote.StoreAsync(cancellation);
        var segments = await remote.ListSegmentsAsync(cancellation);
        var at = await MomentSearch.SegmentAtAsync(remote, [.. segments.Select(s => s.Object.Name)], time,
            cancellation);
        for (var most = 1; segments.Count > 0; most *= 4)
        {
            var start = Math.Max(0, at - most);
            var near = Near(await CommitsNearAsync(parsed, remote, segments[start].FirstLsn, time, cancellation),
                Most(parsed), time);
            if (near.HasAllBefore || start == 0) return (near.Commits, await NamesAsync(remote, cancellation));
        }
        return ([], []);
    }

    /// <summary>From an LSN on, until there are enough after the time.</summary>
    async Task<List<LoggedCommit>> CommitsNearAsync(ParseResult parsed, RemoteAccess remote, ulong from,
        DateTimeOffset time, CancellationToken cancellation)
    {
        var found = new List<LoggedCommit>();
        var tail = new RemoteTail(remote.Context,
            new RemoteTailOptions { From = TailStart.At(from), Once = true, WithPages = false });
        await foreach (var commit in tail.ReadAsync(cancellation))
        {
            if (commit.Kind is not (TailedKind.Commit or TailedKind.WalCommit)) continue;
            if (found.Count > 0 && found[^1].Lsn != commit.Lsn && !IsWanted(parsed, found[^1]))
                found.RemoveAt(found.Count - 1);
            if (commit.Time > time && found.Count(c => c.Time > time) > Most(parsed) / 2) break;
            LogReading.Add(found, commit);
        }
        if (found.Count > 0 && !IsWanted(parsed, found[^1])) found.RemoveAt(found.Count - 1);
        return found;
    }

    /// <summary>Half of them from before a time, as far as there are, and half from after it.</summary>
    static (List<LoggedCommit> Commits, bool HasAllBefore) Near(List<LoggedCommit> all, int most, DateTimeOffset time)
    {
        var half = Math.Max(1, most / 2);
        var before = all.Where(c => c.Time <= time).TakeLast(half).ToList();
        return ([.. before, .. all.Where(c => c.Time > time).Take(half)], before.Count == half);
    }

    /// <summary>
    /// Read forward from some segments before the end, and from ever more, until there are enough: what a WAL's frames
    /// belong to is known only from before.
    /// </summary>
    async Task<(List<LoggedCommit> Commits, IReadOnlyList<string> Names)> RemoteCommitsAsync(ParseResult parsed,
        string? name, int wanted, ulong? until, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(name);
        var segments = await ListAsync(parsed, remote, until, cancellation);
        if (segments.Count == 0) return ([], []);
        for (var most = FirstSegments; ; most *= 4)
        {
            var start = segments[Math.Max(0, segments.Count - most)].FirstLsn;
            var found = (await CommitsFromAsync(remote, start, until, cancellation))
                .Where(c => IsWanted(parsed, c)).ToList();
            if (found.Count >= wanted || most >= segments.Count)
                return ([.. found.TakeLast(wanted)],
                    found.Count > 0 ? [] : await NamesAsync(remote, cancellation));
        }
    }

    /// <summary>The databases of the newest hints, and those in the log after them.</summary>
    static async Task<IReadOnlyList<string>> NamesAsync(RemoteAccess remote, CancellationToken cancellation)
    {
        var reading = new LogReading();
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, null, cancellation);
        reading.Start(plan.Hints.Hints);
        await plan.ReplayAsync(reading.Take, null, cancellation);
        return [.. reading.Databases.Select(d => d.Name)];
    }

    const int FirstSegments = 64;

    static async Task<List<LoggedCommit>> CommitsFromAsync(RemoteAccess remote, ulong lsn, ulong? until,
        CancellationToken cancellation)
    {
        var found = new List<LoggedCommit>();
        var tail = new RemoteTail(remote.Context,
            new RemoteTailOptions { From = TailStart.At(lsn), Once = true, WithPages = false });
        await foreach (var commit in tail.ReadAsync(cancellation))
        {
            if (commit.Lsn > until) break;
            if (commit.Kind is TailedKind.Commit or TailedKind.WalCommit) LogReading.Add(found, commit);
        }
        return found;
    }
}
