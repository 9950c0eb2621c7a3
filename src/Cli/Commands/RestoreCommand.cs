using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Cli.Commands;

/// <summary>
/// Brings back a store, or one database as a plain SQLite file, at its newest state or any earlier commit.
/// </summary>
internal sealed class RestoreCommand : CliCommand
{
    readonly Argument<string?> url;
    readonly Argument<string?> directory;
    readonly Option<string?> database, output, fromLocal;
    readonly Option<ulong?> hints;
    readonly MomentOptions moment;
    readonly Option<bool> ifDbNotExists, ifReplicaExists, force, dryRun;
    readonly Option<int> parallelism;
    readonly Option<IntegrityCheck?> integrity;

    const string Teaching = """
        Everything fetched is verified against the remote's hashes; what does not verify is not delivered, and the
        error names the object and the nearest state that can be restored. The result appears whole, or not at all.
        A remote that cannot be read is an error, never an empty database.

        --integrity-check: of a file, SQLite's own quick_check or integrity_check (default: none). Its pages are
        verified anyway, by the checksum that every commit carries, so the file is written whatever SQLite says:
        what it finds is a warning and exit code 4; what it cannot check (a collation or function of the
        application) is a warning only. Of a store, both quick and full read every page and compare with those
        checksums (default: none).

        The remote of a recorded RocksDB comes back as a RocksDB's directory, which any RocksDB opens: DIR itself,
        and its log in DIR/.recovery.

        A pin (`recovery snapshot --list`) keeps what is read from collection meanwhile, if the credentials allow to
        put one.

        --from-local joins what is left of a dead machine's disk with the remote, so that nothing is lost that reached
        either. The log in OLD_DIR/.recovery is all that it needs, and is only read; where that is damaged, it ends.
        What the remote lacks of it becomes part of the remote, for good.

        The restored newest state takes the remote over when it is first opened with that remote: whoever wrote
        there before is fenced. An earlier state (--lsn, --timestamp, --bookmark, --snapshot) needs a remote of its
        own.
        """;

    public RestoreCommand() : base("restore", "Restore a store, or one database as a plain SQLite file, at any commit.")
    {
        url = Optional("URL", "The remote (default: RECOVERY_REMOTE).");
        directory = Optional("DIR", "The directory for the databases; the store goes to DIR/.recovery.");
        output = Taking<string?>("--output", "FILE",
            "Write one database as a plain SQLite file instead of a store.", "-o");
        database = WithDatabase("The database for -o (needed when the store has several).");
        moment = new MomentOptions(this);
        hints = Taking<ulong?>("--hints", "N",
            "Start from these hints (see `recovery hints`; 0: from the beginning of the log), not from the newest "
                + "that fit.");
        ifDbNotExists = Flag("--if-db-not-exists",
            "When the store (or FILE) is there already, do nothing and succeed.");
        ifReplicaExists = Flag("--if-replica-exists", "When there is no remote yet, do nothing and succeed.");
        parallelism = Usually("--parallelism", "N", 8, "Objects fetched at a time (default 8).");
        integrity = Taking<IntegrityCheck?>("--integrity-check", "none|quick|full",
            "How to check the result; see above.");
        fromLocal = Taking<string?>("--from-local", "OLD_DIR",
            "A store of this remote whose machine is gone: what only its disk has is sent to the remote first.");
        force = Flag("--force", "With -o: overwrite FILE.");
        dryRun = Flag("--dry-run",
            "Find the state and check it as a restore does, but fetch only the log, and change nothing.");
        About = Teaching;
        Examples =
        [
            "recovery restore s3://bucket/app /data",
            "recovery restore s3://bucket/app --database a.db -o /tmp/a.db --timestamp 2026-01-31T15:00:00Z",
            "recovery restore --from-local /mnt/old-disk/data s3://bucket/app /data",
            "recovery restore --if-db-not-exists --if-replica-exists /data     # an init container; RECOVERY_REMOTE "
                + "is set",
        ];
    }

    internal sealed record Report(string Remote, string? Store, string? File, ulong Lsn, DateTimeOffset? Time,
        ulong HintsLsn,
        IReadOnlyList<string> Databases, long FetchedBytes, int Extents, int Segments, bool DryRun)
    {
        /// <summary>What SQLite says of a plain file: ok, damaged, unchecked, none.</summary>
        public string? Integrity { get; init; }

        /// <summary>What was only on a dead machine's disk (--from-local).</summary>
        public LeftRecords? FromLocal { get; init; }

        /// <summary>What to know of it.</summary>
        public string? Warning { get; init; }
    }

    internal sealed record Skipped(string Reason, bool Restored = false);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var (from, into) = Places(parsed);
        var file = parsed.GetValue(output) is { } o ? Path.GetFullPath(o) : null;
        Check(parsed, into, file);
        var store = into is null ? null : StoreDirectory.Within(into);
        if (Exists(store, file) is { } there && parsed.GetValue(ifDbNotExists))
            return Skip(to, $"{there} exists already: nothing to do.");
        await using var remote = RemoteAccess.Open(from);
        if (await remote.TryStoreAsync(cancellation) is null && parsed.GetValue(ifReplicaExists))
            return Skip(to, $"There is no remote at {remote.Context.Store.Location} yet: nothing to restore.");
        if (store is not null) Restoring.CheckPlace(store);
        if (file is not null) DeliveredFile.CheckPlace(file, parsed.GetValue(force));
        remote.SpoolIn(store ?? Path.GetDirectoryName(file)!);
        var joined = await JoinAsync(parsed, to, remote, cancellation);
        var plan = await RestorePlanner.PlanAsync(remote.Context,
            await moment.FindAsync(parsed, remote, cancellation), parsed.GetValue(hints), cancellation);
        Note(to, plan);
        if (into is not null) Restoring.CheckStubs(into, plan);
        if (file is not null) plan.Store.ThrowUnlessDatabases(plan.Location);
        if (parsed.GetValue(dryRun)) return await DryRunAsync(parsed, to, remote, plan, store, file, cancellation);
        await using var pin = await remote.PinAsync(plan, to.Note, cancellation);
        if (plan.Store.Holds is not null)
            return await RestoredRocksDb.RunAsync(to, remote, plan, into!, parsed.GetValue(parallelism), cancellation);
        var report = file is null
            ? await ToStoreAsync(parsed, to, remote, plan, into!, cancellation)
            : await ToFileAsync(parsed, to, remote, plan, file, cancellation);
        return Tell(to, plan, report with { FromLocal = joined });
    }

    static void Note(Output to, RestorePlan plan)
    {
        foreach (var note in plan.Notes) to.Note(note);
        if (plan.Target.TimeMs > DateTimeOffset.UtcNow.ToUnixTimeMilliseconds())
            to.Note($"{Text.Time(Text.FromMs(plan.Target.TimeMs.Value))} is in the future (it is "
                + $"{Text.Time(DateTimeOffset.UtcNow)} now): this is the newest state.");
    }

    static int Tell(Output to, RestorePlan plan, Report report)
    {
        if (report.Warning is { } warning) to.Warning(warning);
        if (plan.ClockNote is { } clock) to.Note(clock);
        to.Result(report, Results.Json.Restore, r =>
        {
            to.Line($"Restored LSN {r.Lsn} ({Text.Time(r.Time!.Value)}) to {r.File ?? r.Store}");
            to.Line($"{(r.File is null ? "Databases" : "Database")}: {Text.Some(r.Databases)}; fetched "
                + $"{Text.Bytes(r.FetchedBytes)}");
        });
        return report.Integrity == "damaged" ? ExitCode.Damaged : ExitCode.Ok;
    }

    async Task<LeftRecords?> JoinAsync(ParseResult parsed, Output to, RemoteAccess remote,
        CancellationToken cancellation)
    {
        if (parsed.GetValue(fromLocal) is not { } old) return null;
        var dry = parsed.GetValue(dryRun);
        var left = await LeftDirectory.JoinAsync(old, remote, !dry, Progress.Begin, to.Note, cancellation);
        to.Note(left.FirstLsn == 0 ? $"{left.Directory} has nothing that the remote lacks."
            : $"LSN {left.FirstLsn} to {left.LastLsn} "
                + (dry ? $"would come from {left.Directory}; what follows is without them."
                : $"came from {left.Directory}."));
        return left;
    }

    (string? From, string? Into) Places(ParseResult parsed)
    {
        var (first, second) = (parsed.GetValue(url), parsed.GetValue(directory));
        return first is not null && !RemoteAccess.IsUrl(first) && second is null && RemoteAccess.Default is not null
            ? (null, first)
            : (first, second);
    }

    void Check(ParseResult parsed, string? into, string? file)
    {
        if (into is null == file is null)
            throw new RecoveryException(RecoveryError.Invalid, into is null
                ? "Where to? Give DIR for a store, or -o FILE for a plain SQLite file."
                : "DIR makes a store and -o FILE a plain SQLite file: give one of them.");
        if (file is null && parsed.GetValue(database) is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                "--database goes with -o FILE: a store is restored whole.");
        moment.IsGiven(parsed);
        if (parsed.GetValue(parallelism) is < 1 or > 256)
            throw new RecoveryException(RecoveryError.Invalid, "--parallelism is from 1 to 256.");
    }

    static string? Exists(string? store, string? file) =>
        file is not null ? File.Exists(file) ? file : null
        : Directory.Exists(store) && Directory.EnumerateFileSystemEntries(store).Any() ? store : null;

    static int Skip(Output to, string reason)
    {
        to.Result(new Skipped(reason), Results.Json.RestoreSkipped, s => to.Line(s.Reason));
        return ExitCode.Ok;
    }

    /// <summary>Reads the log as the restore would, and so finds the same state, or the same error.</summary>
    async Task<int> DryRunAsync(ParseResult parsed, Output to, RemoteAccess remote, RestorePlan plan, string? store,
        string? file, CancellationToken cancellation)
    {
        var reading = new LogReading();
        reading.Start(plan.Hints.Hints);
        ulong lsn;
        long timeMs;
        using (var progress = new Progress("reading the log", plan.Segments.Sum(s => s.SizeBytes)))
            (lsn, timeMs) = await plan.ReplayAsync(reading.Take, progress.Add, cancellation);
        IReadOnlyList<string> databases = [.. reading.Databases.Select(d => d.Name)];
        if (file is not null) databases = [Restoring.Choose(parsed.GetValue(database), databases, lsn)];
        var report = new Report(remote.Url, store, file, lsn, Text.FromMs(timeMs), plan.Hints.Header.Lsn, databases,
            plan.FetchBytes, plan.Extents.Count, plan.Segments.Count, true);
        to.Result(report, Results.Json.Restore, r =>
        {
            to.Line($"Would restore LSN {r.Lsn} ({Text.Time(r.Time!.Value)}) to {r.File ?? r.Store}");
            var from = plan.IsFromBeginning
                ? "the beginning of the log"
                : $"hints of LSN {r.HintsLsn} ({Text.Time(Text.FromMs(plan.Hints.Header.TimeMs))})";
            to.Line($"  from {from}; the remote ends at LSN {plan.LastLsn.ToString(CultureInfo.InvariantCulture)}");
            to.Line($"  fetching {Text.Count(r.Extents, "extent")} and {Text.Count(r.Segments, "segment")}, "
                + $"{Text.Bytes(r.FetchedBytes)}");
            to.Line($"  {(r.File is null ? "databases" : "database")}: {Text.Some(r.Databases)}");
        });
        return ExitCode.Ok;
    }

    async Task<Report> ToStoreAsync(ParseResult parsed, Output to, RemoteAccess remote, RestorePlan plan, string into,
        CancellationToken cancellation)
    {
        var restoring = new Restoring(plan, parsed.GetValue(parallelism), Progress.Begin, to.Note);
        var verify = parsed.GetValue(integrity) is IntegrityCheck.Quick or IntegrityCheck.Full;
        var result = await restoring.ToStoreAsync(into, verify, cancellation);
        return Done(remote, plan, result, StoreDirectory.Within(into), null, result.Databases);
    }

    async Task<Report> ToFileAsync(ParseResult parsed, Output to, RemoteAccess remote, RestorePlan plan, string file,
        CancellationToken cancellation)
    {
        var restoring = new Restoring(plan, parsed.GetValue(parallelism), Progress.Begin, to.Note);
        var finding = IntegrityFinding.NotAsked;
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var (result, name) = await restoring.ToFileAsync(file, parsed.GetValue(database), parsed.GetValue(force),
            (made, name) => finding = IntegrityFinding.Of(made, name, parsed.GetValue(integrity)
                ?? IntegrityCheck.None), cancellation);
        return Done(remote, plan, result, null, file, [name]) with
        {
            Integrity = finding.Result,
            Warning = finding.Warning
        };
    }

    static Report Done(RemoteAccess remote, RestorePlan plan, RestoreResult result, string? store, string? file,
        IReadOnlyList<string> databases) =>
        new(remote.Url, store, file, result.Lsn, Text.FromMs(result.UnixTimeMs), plan.Hints.Header.Lsn, databases,
            result.FetchedBytes,
            plan.Extents.Count, plan.Segments.Count, false);
}
