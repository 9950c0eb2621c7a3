using System.CommandLine;
using System.Globalization;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
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
        target = With(new Argument<string>("DIR") { Description = "The store of the fenced writer." });
        extract = With(new Option<string?>("--extract") { HelpName = "DATABASE", Description = "Write this database, as the fenced writer had it, to a plain SQLite file (-o)." });
        output = With(new Option<string?>("--output", "-o") { HelpName = "FILE", Description = "The file for --extract." });
        lsn = With(new Option<ulong?>("--lsn") { HelpName = "N", Description = "Which, when several were salvaged: its first LSN." });
        remoteUrl = With(new Option<string?>("--remote") { HelpName = "URL", Description = "The remote (default: the one that the store shipped to)." });
        force = With(new Option<bool>("--force") { Description = "Overwrite FILE." });
        About = """
            When another writer takes a remote over, the commits that the old one had made but not shipped are kept in DIR/.recovery/salvage.
            (Some of them may have been shipped after all.) --extract restores the newest state that both writers had, and replays them over it.
            """;
        Examples = ["recovery salvage /data", "recovery salvage /data --extract a.db -o /tmp/a-salvaged.db"];
    }

    internal sealed record Entry(string Directory, ulong Epoch, ulong FirstLsn, ulong LastLsn, DateTimeOffset? LastTime, int Commits, IReadOnlyList<string> Databases);

    internal sealed record Extracted(string Database, string File, ulong Lsn, ulong SharedLsn);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var store = StoreDirectory.Find(parsed.GetValue(target)!);
        var salvaged = SalvagedLog.List(store.SalvageDirectory);
        if (parsed.GetValue(extract) is { } name) return await ExtractAsync(parsed, to, store, salvaged, name, cancellation);
        var entries = salvaged.Select(s => Look(store, s)).ToList();
        to.Result(entries, Results.Json.Salvage, all =>
        {
            if (all.Count == 0) to.Line($"Nothing was salvaged in {store.Path}.");
            else to.Table(["FIRST LSN>", "LAST LSN>", "EPOCH>", "COMMITS>", "LAST COMMIT", "DATABASES"], all.Select(e => new[]
            {
                e.FirstLsn.ToString(CultureInfo.InvariantCulture), e.LastLsn.ToString(CultureInfo.InvariantCulture), e.Epoch.ToString(CultureInfo.InvariantCulture),
                e.Commits.ToString(CultureInfo.InvariantCulture), e.LastTime is { } time ? Text.Time(time) : "-", string.Join(", ", e.Databases),
            }));
        });
        return ExitCode.Ok;
    }

    static Entry Look(StoreDirectory store, SalvagedLog salvaged)
    {
        var reading = new LogReading();
        // The names are the fenced store's own: it goes on to know them.
        store.ReadLog(reading.Start, static (in Record _) => { });
        var last = salvaged.FirstLsn - 1;
        salvaged.Read(LocalDisk.Instance, (in Record record) =>
        {
            reading.Take(record);
            last = record.Lsn;
        });
        return new Entry(salvaged.Path, salvaged.Epoch, salvaged.FirstLsn, last, reading.LastTime, reading.Commits.Count,
            [.. reading.Commits.SelectMany(c => c.Databases).Select(d => d.Database).Distinct().Order(StringComparer.Ordinal)]);
    }

    async Task<int> ExtractAsync(ParseResult parsed, Output to, StoreDirectory store, IReadOnlyList<SalvagedLog> salvaged, string name, CancellationToken cancellation)
    {
        var file = parsed.GetValue(output) is { } o ? Path.GetFullPath(o) : throw new RecoveryException(RecoveryError.Invalid, "--extract needs -o FILE.");
        PlainFile.CheckPlace(file, parsed.GetValue(force));
        var chosen = Choose(salvaged, parsed.GetValue(lsn), store);
        await using var remote = RemoteAccess.Open(parsed.GetValue(remoteUrl) ?? store.Path);
        var fork = await ForkAsync(remote, chosen, cancellation);
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.At(fork), null, cancellation);
        using var staging = new Staging(Path.GetDirectoryName(file)!, Path.GetFileName(file));
        var directory = staging.Path("store");
        var restored = await RestoredStore.RestoreAsync(plan, directory, 8, cancellation);
        if (restored.Lsn + 1 < chosen.FirstLsn) throw Lost(chosen, remote, restored.Lsn);
        var last = restored.Lsn;
        RestoredStore.Apply(directory, take => chosen.Read(LocalDisk.Instance, (in Record record) =>
        {
            take(record);
            last = record.Lsn;
        }));
        var databases = RestoredStore.Verify(directory, cancellation).Select(d => d.Name).ToList();
        if (!databases.Contains(name))
            throw new RecoveryException(RecoveryError.NotFound, $"There is no database {name} in what was salvaged; there are: {string.Join(", ", databases)}.");
        var finding = PlainFile.Export(staging, directory, name, file, IntegrityCheck.Full);
        if (finding.Warning is { } warning) to.Warning(warning);
        to.Result(new Extracted(name, file, last, fork), Results.Json.SalvageExtracted, e =>
            to.Line($"Wrote {e.Database} as of LSN {e.Lsn} to {e.File}: the remote's LSN {e.SharedLsn}, and what was salvaged after it."));
        return finding.IsDamaged ? ExitCode.Damaged : ExitCode.Ok;
    }

    /// <summary>
    /// The newest LSN that the remote and the fenced writer have in common: the one before the first segment of a later epoch. A writer that was fenced as it
    /// opened has salvaged more than it lacked.
    /// </summary>
    static async Task<ulong> ForkAsync(RemoteAccess remote, SalvagedLog salvaged, CancellationToken cancellation)
    {
        await remote.StoreAsync(cancellation);
        var segments = await remote.ListSegmentsAsync(cancellation);
        var (low, high) = (0, segments.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            // One that was collected since is an old one.
            if (await remote.FetchHeaderAsync(segments[middle].Object.Name, cancellation) is { } header && header.Epoch > salvaged.Epoch) high = middle;
            else low = middle + 1;
        }
        // Two copies of one directory are of the same epoch: all that is known then is what was shipped before.
        var fork = low == segments.Count ? salvaged.FirstLsn - 1 : segments[low].FirstLsn - 1;
        return fork + 1 < salvaged.FirstLsn ? throw Lost(salvaged, remote, fork) : fork;
    }

    static RecoveryException Lost(SalvagedLog salvaged, RemoteAccess remote, ulong lsn) => new(RecoveryError.NotFound,
        $"What was salvaged starts at LSN {salvaged.FirstLsn}, but {remote.Url} shares only the states up to LSN {lsn} with it: those between are lost.");

    static SalvagedLog Choose(IReadOnlyList<SalvagedLog> salvaged, ulong? lsn, StoreDirectory store)
    {
        var fitting = salvaged.Where(s => lsn is null || s.FirstLsn == lsn).ToList();
        return fitting.Count switch
        {
            1 => fitting[0],
            0 => throw new RecoveryException(RecoveryError.NotFound, $"Nothing{(lsn is null ? "" : $" with the first LSN {lsn}")} was salvaged in {store.Path}."),
            _ => throw new RecoveryException(RecoveryError.Invalid, $"Which? Give --lsn with one of: {string.Join(", ", fitting.Select(s => s.FirstLsn))}."),
        };
    }
}
