using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Shows and extracts commits that a fenced writer had not shipped.</summary>
internal sealed class SalvageCommand : CliCommand
{
    readonly Argument<string> target;
    readonly Option<string?> extract, output, remoteUrl;
    readonly Option<ulong?> lsn;
    readonly Option<bool> force;

    public SalvageCommand() : base("salvage", "Show and extract commits that a fenced writer had not shipped.")
    {
        target = Needed("DIR", "The store of the fenced writer.");
        extract = Taking<string?>("--extract", "DATABASE",
            "Write this database, as the fenced writer had it, to a plain SQLite file (-o).");
        output = Taking<string?>("--output", "FILE", "The file for --extract.", "-o");
        lsn = Taking<ulong?>("--lsn", "N", "Which, when several were salvaged: its first LSN.");
        remoteUrl = Taking<string?>("--remote", "URL", "The remote (default: the one that the store shipped to).");
        force = Flag("--force", "Overwrite FILE.");
        About = """
            When another writer takes a remote over, the commits that the old one had made but not shipped are kept in
            DIR/.recovery/salvage; of a writer that was stopped before it noticed, they are still in its log. Both are
            shown, and of both only what the remote does not have. --extract restores the newest state that both writers
            had, and replays them over it.
            """;
        Examples = ["recovery salvage /data", "recovery salvage /data --extract a.db -o /tmp/a-salvaged.db"];
    }

    internal sealed record Entry(string Directory, ulong Epoch, ulong FirstLsn, ulong LastLsn, DateTimeOffset? LastTime,
        int Commits, IReadOnlyList<string> Databases);

    internal sealed record Extracted(string Database, string File, ulong Lsn, ulong SharedLsn);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var store = StoreDirectory.Find(parsed.GetValue(target)!);
        if (store.IsOfRocksDb)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{store.Databases} is a RocksDB's directory, and has all that was written to it, also what a fenced "
                    + "writer did not ship.",
                $"`recovery export {store.Databases}` writes its pairs, to be imported where they are missed.")
            { Path = store.Path };
        var salvaged = await SourcesAsync(parsed, to, store, cancellation);
        if (parsed.GetValue(extract) is { } name)
            return await ExtractAsync(parsed, to, store, salvaged, name, cancellation);
        var entries = salvaged.Select(s => Look(store, s)).Where(e => e.Commits > 0).ToList();
        to.Result(entries, Results.Json.Salvage, all =>
        {
            if (all.Count == 0) to.Line($"Nothing was salvaged in {store.Path}.");
            else to.Table(["FIRST LSN>", "LAST LSN>", "EPOCH>", "COMMITS>", "LAST COMMIT", "DATABASES"],
                all.Select(e => new[]
            {
                e.FirstLsn.ToString(CultureInfo.InvariantCulture), e.LastLsn.ToString(CultureInfo.InvariantCulture),
                    e.Epoch.ToString(CultureInfo.InvariantCulture),
                e.Commits.ToString(CultureInfo.InvariantCulture), e.LastTime is { } time
                    ? Text.Time(time)
                    : "-", string.Join(", ", e.Databases),
            }));
        });
        return ExitCode.Ok;
    }

    /// <summary>
    /// Records that a fenced writer had not shipped; of them those after <paramref name="SharedLsn"/> are in the remote
    /// in no form.
    /// </summary>
    sealed record Source(string Path, ulong Epoch, ulong? Author, ulong FirstLsn, ulong SharedLsn,
        Action<RecordTaken> Read);

    /// <summary>What was salvaged, and what the log of a writer that was fenced and never noticed has.</summary>
    async Task<List<Source>> SourcesAsync(ParseResult parsed, Output to, StoreDirectory store,
        CancellationToken cancellation)
    {
        var saved = SalvagedLog.List(store.SalvageDirectory);
        var found = saved.Select(s
            => new Source(s.Path, s.Epoch, null, s.FirstLsn, s.FirstLsn - 1, take => s.Read(LocalDisk.Instance, take)))
                .ToList();
        if ((parsed.GetValue(remoteUrl) ?? store.RemoteUrl ?? RemoteAccess.Default) is not { } url || store.IsReplica)
            return found;
        try
        {
            await using var remote = RemoteAccess.Open(url);
            await remote.StoreAsync(cancellation);
            for (var i = 0; i < found.Count; i++)
                if (await Divergence.SharedLsnAsync(remote, found[i].Epoch, null, cancellation) is { } shared
                    && shared >= found[i].FirstLsn)
                    found[i] = found[i] with { SharedLsn = shared };
            if (await OfLogAsync(store, remote, cancellation) is { } own
                && !found.Any(f => f.Epoch == own.Epoch && LastOf(f) >= LastCommitOf(store, own)))
            {
                // It has what was saved, and more.
                found.RemoveAll(f => f.Epoch == own.Epoch && f.SharedLsn + 1 >= own.FirstLsn);
                found.Add(own);
            }
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException)
        {
            to.Note($"The remote {url} cannot be looked at, so only what was salvaged before is shown: {e.Message}");
        }
        return found;
    }

    static ulong LastOf(Source source)
    {
        var last = 0UL;
        source.Read((in Record record) => last = record.Lsn);
        return last;
    }

    /// <summary>A log goes on behind its last commit: with what the page store notes of its files.</summary>
    static ulong LastCommitOf(StoreDirectory store, Source source)
    {
        var reading = new LogReading();
        store.ReadLog(reading.Start, static (in Record _) => { });
        source.Read(reading.Take);
        return reading.Commits.Count > 0 ? reading.Commits[^1].Lsn : 0;
    }

    static async Task<Source?> OfLogAsync(StoreDirectory store, RemoteAccess remote, CancellationToken cancellation)
    {
        var (_, end) = store.ReadLog(static _ => { }, static (in Record _) => { });
        if (end is null || store.Author is not { } author
            || await Divergence.SharedLsnAsync(remote, end.Epoch, author, cancellation) is not { } shared
            || end.LastLsn <= shared)
            return null;
        var first = Math.Max(shared + 1, end.FirstLsn);
        return new Source(store.Path, end.Epoch, author, first, shared,
            take => store.ReadLog(static _ => { }, (in Record record) =>
        {
            if (record.Lsn >= first) take(record);
        }));
    }

    static Entry Look(StoreDirectory store, Source salvaged)
    {
        var reading = new LogReading();
        // The names are the fenced store's own: it goes on to know them.
        store.ReadLog(reading.Start, static (in Record _) => { });
        var last = salvaged.FirstLsn - 1;
        salvaged.Read((in Record record) =>
        {
            reading.Take(record);
            last = record.Lsn;
        });
        var commits = reading.Commits.Where(c => c.Lsn > salvaged.SharedLsn).ToList();
        return new Entry(salvaged.Path, salvaged.Epoch, Math.Max(salvaged.FirstLsn, salvaged.SharedLsn + 1), last,
            commits.Count > 0 ? commits[^1].Time : null, commits.Count,
            [.. commits.SelectMany(c => c.Databases).Select(d => d.Database).Distinct().Order(StringComparer.Ordinal)]);
    }

    async Task<int> ExtractAsync(ParseResult parsed, Output to, StoreDirectory store, IReadOnlyList<Source> salvaged,
        string name, CancellationToken cancellation)
    {
        var file = parsed.GetValue(output) is { } o
            ? Path.GetFullPath(o)
            : throw new RecoveryException(RecoveryError.Invalid, "--extract needs -o FILE.");
        DeliveredFile.CheckPlace(file, parsed.GetValue(force));
        var chosen = Choose(salvaged, parsed.GetValue(lsn), store);
        await using var remote = RemoteAccess.Open(parsed.GetValue(remoteUrl) ?? store.Path);
        var fork = await ForkAsync(remote, chosen, cancellation);
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.At(fork), null, cancellation);
        using var staging = new Staging(Path.GetDirectoryName(file)!, Path.GetFileName(file));
        var directory = staging.Path("store");
        var restored = await RestoredStore.RestoreAsync(plan, directory, 8, Progress.Begin, cancellation);
        if (restored.Lsn + 1 < chosen.FirstLsn) throw Lost(chosen, remote, restored.Lsn);
        var last = restored.Lsn;
        RestoredStore.Apply(directory, take => chosen.Read((in Record record) =>
        {
            take(record);
            last = record.Lsn;
        }));
        var databases = RestoredStore.Verify(directory, Progress.Begin, cancellation).Select(d => d.Name).ToList();
        if (!databases.Contains(name))
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no database {name} in what was salvaged; there are: {string.Join(", ", databases)}.");
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var finding = IntegrityFinding.NotAsked;
        DeliveredFile.Export(staging, directory, name, file, Progress.Begin,
            made => finding = IntegrityFinding.Of(made, name, IntegrityCheck.Full));
        if (finding.Warning is { } warning) to.Warning(warning);
        to.Result(new Extracted(name, file, last, fork), Results.Json.SalvageExtracted, e =>
            to.Line($"Wrote {e.Database} as of LSN {e.Lsn} to {e.File}: the remote's LSN {e.SharedLsn}, and what was "
                + "salvaged after it."));
        return finding.IsDamaged ? ExitCode.Damaged : ExitCode.Ok;
    }

    /// <summary>
    /// The newest LSN that the remote and the fenced writer have in common: the one before the first segment of a later
    /// epoch. A writer that was fenced as it opened has salvaged more than it lacked.
    /// </summary>
    static async Task<ulong> ForkAsync(RemoteAccess remote, Source salvaged, CancellationToken cancellation)
    {
        await remote.StoreAsync(cancellation);
        // Two copies of one directory are of the same epoch: all that is known then is what was shipped before.
        var fork = await Divergence.SharedLsnAsync(remote, salvaged.Epoch, salvaged.Author, cancellation)
            ?? salvaged.FirstLsn - 1;
        return fork + 1 < salvaged.FirstLsn ? throw Lost(salvaged, remote, fork) : fork;
    }

    static RecoveryException Lost(Source salvaged, RemoteAccess remote, ulong lsn) => new(RecoveryError.NotFound,
        $"What was salvaged starts at LSN {salvaged.FirstLsn}, but {remote.Url} shares only the states up to LSN "
        + $"{lsn} with it: those between are lost.")
    { Path = remote.Url, Lsn = salvaged.FirstLsn };

    static Source Choose(IReadOnlyList<Source> salvaged, ulong? lsn, StoreDirectory store)
    {
        var fitting = salvaged.Where(s => lsn is null || s.FirstLsn == lsn || s.SharedLsn + 1 == lsn).ToList();
        return fitting.Count switch
        {
            1 => fitting[0],
            0 => throw new RecoveryException(RecoveryError.NotFound,
                $"Nothing{(lsn is null ? "" : $" with the first LSN {lsn}")} was salvaged in {store.Path}.")
            { Path = store.Path },
            _ => throw new RecoveryException(RecoveryError.Invalid,
                "Which?",
                $"Give --lsn with one of: {string.Join(", ", fitting.Select(s => s.FirstLsn))}."),
        };
    }
}
