using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Changes.Pairs;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Proves that a remote can be restored: by restoring it, and by checking everything else in it.</summary>
internal sealed class VerifyCommand : CliCommand
{
    const int SampledExtents = 8;

    readonly Argument<string[]> target;
    readonly Option<bool> sample, full;
    readonly Option<string?> temporary;
    readonly Option<int> parallelism;

    const string Teaching = """
        Restores the newest state into a temporary directory, reads every page back and compares with the checksums
        that the writer logged; then fetches the extents of all older hints, and reads every segment of the log.
        Needs as much disk as a restore. What is damaged or missing is named, all of it, and the exit code is 4; a
        gap that the writer left on purpose, and said so in the log, is no damage. The tables of the newest state
        are opened, in a process of their own. Those of older ones are compared with their hashes, which tell
        damage, and not what somebody made on purpose: --full opens them, too. What states have in common is fetched
        once; the disk needs room for two of them. Of the remote of a recorded RocksDB, which has files instead of
        databases, the restored directory is opened in a process of its own, and all of it is read. The checksums
        printed are those of `PRAGMA recovery_verify` and `recovery databases` at the same LSN.
        """;

    public VerifyCommand() : base("verify", "Prove that a remote can be restored: fetch and check everything.")
    {
        target = With(
            new Argument<string[]>("URL|DIR|FILE..")
            {
                Description =
                    "A remote, or a store that has one (default: RECOVERY_REMOTE); or backups as JSON lines that "
                        + "follow each "
                        + "other.",
                Arity = ArgumentArity.ZeroOrMore
            });
        sample = Flag("--sample",
            "Cheaper: the newest hints, the log after them, and a random few of their extents; no restore.");
        full = Flag("--full", "Also fetches and opens the tables of every older state, as a restore of it would.");
        temporary = Taking<string?>("--temp-dir", "DIR",
            "Where to restore to for the while (default: the system's temporary directory).");
        parallelism = Usually("--parallelism", "N", 8, "Objects fetched at a time (default 8).");
        About = Teaching;
        Examples = ["recovery verify s3://bucket/app", "recovery verify monday.jsonl tuesday.jsonl",
            "recovery verify file:///backup/app --sample"];
    }

    internal sealed record Report(string Result, string Remote, bool Sampled, ulong Lsn, DateTimeOffset? Time,
        int Hints, int OpenedStates, int Extents, long ExtentBytes, int Segments, long Records,
        IReadOnlyList<RestoredDatabase>? Databases, IReadOnlyList<string> Problems, IReadOnlyList<LogHole> Missing,
            IReadOnlyList<LogHole> Gaps, IReadOnlyList<LogHole> Collected)
    {
        internal bool IsDamaged => Problems.Count > 0;

        /// <summary>Of a RocksDB: how many files a restore brings back.</summary>
        public int? Files { get; init; }

        /// <summary>When what can be restored is not the newest record's state: why.</summary>
        public string? Note { get; init; }
    }

    internal sealed record BackupReport(string File, string Kind, string Database, ulong? SinceLsn, ulong Lsn,
        DateTimeOffset Time, long Rows, string Sha256);

    static int VerifyBackups(Output to, string[] files)
    {
        var chain = BackupReader.VerifyChain(files);
        var reports =
            chain.Select((b, i)
            => new BackupReport(files[i], b.Header.Kind, b.Header.Database, b.Header.Since?.Lsn, b.Header.Lsn,
                b.Header.Time, b.End.Tables.Sum(t => t.Rows), b.End.Sha256)).ToList();
        to.Result(reports, Results.Json.ListBackupReport, all =>
        {
            foreach (var r in all)
                to.Line($"{r.File} verifies: {r.Kind}, {r.Database} at LSN {r.Lsn} "
                    + $"({Text.Time(r.Time)}){(r.SinceLsn is { } since ? $" since LSN {since}" : "")}, "
                    + $"{Text.Count(r.Rows, "row")}, SHA-256 {r.Sha256}");
            if (all.Count > 1)
                to.Line($"They follow each other{(chain[0].Header.IsFull ? ", from a full backup on" : "")}.");
        });
        return ExitCode.Ok;
    }

    static int VerifyPairs(Output to, string file)
    {
        var (header, end) = PairsReader.Verify(file);
        var report = new BackupReport(file, header.Kind, "", null, header.Lsn ?? 0, header.Time,
            end.Families.Sum(f => f.Pairs), end.Sha256);
        to.Result([report], Results.Json.ListBackupReport, _ =>
            to.Line($"{file} verifies: {header.Kind}, a RocksDB's sequence {header.Sequence} "
                + $"({Text.Time(header.Time)}), {Text.Count(report.Rows, "pair")}, SHA-256 {end.Sha256}"));
        return ExitCode.Ok;
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var named = parsed.GetValue(target) ?? [];
        if (named.Length == 1 && !RemoteAccess.IsUrl(named[0]) && File.Exists(named[0])
            && PairsReader.TryOpen(named[0]) is { } pairs)
        {
            pairs.Dispose();
            return VerifyPairs(to, named[0]);
        }
        if (named.Length > 0 && named.All(n => !RemoteAccess.IsUrl(n) && File.Exists(n))
            && Opening.Stub.Read(Path.GetFullPath(named[0])).Content != Opening.PathContent.Stub)
            return VerifyBackups(to, named);
        if (named.Length > 1)
            throw new RecoveryException(RecoveryError.Invalid,
                "Several files are backups as JSON lines, and all must be there; of remotes and stores give one.");
        if (parsed.GetValue(sample) && parsed.GetValue(full))
            throw new RecoveryException(RecoveryError.Invalid, "Give --sample or --full.");
        if (parsed.GetValue(parallelism) is < 1 or > 256)
            throw new RecoveryException(RecoveryError.Invalid, "--parallelism is from 1 to 256.");
        return await VerifyRemoteAsync(parsed, to, named.FirstOrDefault(), cancellation);
    }

    async Task<int> VerifyRemoteAsync(ParseResult parsed, Output to, string? place, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(place);
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, null, cancellation);
        await using var pin = await remote.PinAsync(plan, to.Note, cancellation);
        var directory =
            Path.Combine(Path.GetFullPath(parsed.GetValue(temporary) ?? Path.GetTempPath()),
            "recovery-verify-" + Guid.NewGuid().ToString("N"));
        Report report;
        try
        {
            var check = new RemoteCheck(remote, plan, directory, parsed.GetValue(parallelism));
            report = parsed.GetValue(sample)
                ? await check.SampleAsync(SampledExtents, cancellation)
                : await check.EverythingAsync(parsed.GetValue(full), cancellation);
        }
        finally
        {
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        }
        foreach (var problem in report.Problems) to.Error(new Failure(ExitCode.Damaged, problem));
        to.Result(report, Results.Json.Verify, r => Show(to, r));
        return report.IsDamaged ? ExitCode.Damaged : ExitCode.Ok;
    }

    static void Show(Output to, Report r)
    {
        to.Line(r.IsDamaged ? $"{r.Remote} is DAMAGED: {Text.Count(r.Problems.Count, "problem")}, see above"
            : $"{(r.Sampled ? "A sample verifies" : "Everything verifies")}: LSN {r.Lsn} "
                + $"({Text.Time(r.Time!.Value)}) can be restored from {r.Remote}");
        to.Line($"Checked {Text.Count(r.Hints, "set")} of hints, {Text.Count(r.Extents, "extent")} "
            + $"({Text.Bytes(r.ExtentBytes)}), {Text.Count(r.Segments, "segment")} with "
            + $"{Text.Count(r.Records, "record")}");
        if (r.Files is { } files)
            to.Line($"It is a RocksDB of {Text.Count(files, "file")}, which opens, and of which every block was read");
        if (r.Note is { } note) to.Line(note);
        if (!r.Sampled && !r.IsDamaged && r.OpenedStates < r.Hints)
            to.Line("The tables of older states have the right hashes; --full opens them, too");
        foreach (var hole in r.Gaps) to.Line($"LSNs {hole.FirstLsn} to {hole.LastLsn} cannot be restored: {hole.Why}");
        foreach (var hole in r.Collected)
            to.Line($"LSNs {hole.FirstLsn} to {hole.LastLsn} are not there any more: {hole.Why}");
        if (r.Databases is not null)
            to.Table(["DATABASE", "SIZE>", "PAGE>", "LSN>", "CHECKSUM"], r.Databases.Select(d => new[]
            {
                d.Name, Text.Bytes(d.SizeBytes), d.PageSize.ToString(CultureInfo.InvariantCulture),
                    d.Lsn.ToString(CultureInfo.InvariantCulture), d.Checksum,
            }));
    }
}
