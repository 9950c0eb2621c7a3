using System.CommandLine;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Changes.Pairs;
using RecoveryVfs.Cli.Backups;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>
/// Writes a database of a store as a plain SQLite file, or its rows in some other form; or the pairs of a RocksDB.
/// </summary>
internal sealed class ExportCommand : CliCommand
{
    readonly Argument<string> source;
    readonly Argument<string?> file;
    readonly Option<string?> output, database, tables, since, at, family, from, to, slots;
    readonly Option<RowExportFormat> format;
    readonly Option<bool> force;

    const string Teaching = """
        As of its newest commit. A store in use by another process can be exported from, too.

        jsonl is a lossless backup that people and jq can read: a header, one JSON object a row, and a last line
        with counts and a SHA-256. With --since it holds what changed, deletions included, as the log tells: the
        store's own, as far back as that reaches, else its remote's. Its header names the backup that it follows.
        `recovery verify` checks a file, or a chain of them; `recovery import` brings them back.

        Of a RocksDB, recorded or not, or of its remote, the pairs are written as JSON lines of the same kind, as
        one moment shows them: a string where a key or a value is text, and {"blob": base64} where it is not. Writes
        go on meanwhile. Without -o they go to standard output.
        """;

    public ExportCommand() : base("export", "Write a database of a store, its rows, or a RocksDB's pairs, as a file.")
    {
        source = Needed("DATABASE|DIR|URL", "The database, as /data/a.db; the directory of a RocksDB; or a remote.");
        file = Optional("FILE", "The file to write; or give -o.");
        output = Taking<string?>("--output", "FILE", "The file to write; - for standard output (not of sqlite).", "-o");
        format = Taking<RowExportFormat>("--format", "sqlite|jsonl|csv|sql",
            "A plain SQLite file (default); JSON lines; one table as CSV; statements as .dump writes them.");
        database = WithDatabase("Of a remote: the database (needed when there are several).");
        tables = Taking<string?>("--table", "GLOB", "Only tables whose names match.");
        since = Taking<string?>("--since", "LSN|FILE",
            "With jsonl: what changed since an LSN, or since the backup in FILE.");
        at = Taking<string?>("--at", "MOMENT", "As it was at an LSN or a time (default: now).");
        family = Taking<string?>("--family", "NAME", "Of a RocksDB: only this column family (default: all).");
        from = Taking<string?>("--from", "KEY", "Of a RocksDB: only keys from this one on (text, or hex:00ff).");
        to = Taking<string?>("--to", "KEY", "Of a RocksDB: only keys before this one.");
        slots = Taking<string?>("--slots", "A-B/N",
            "Of a RocksDB: only keys of these hash slots, as Redis Cluster has them (N: 16384).");
        force = Flag("--force", "Overwrite FILE.");
        About = Teaching;
        Examples = ["recovery export /data/a.db -o /tmp/a.db",
            "recovery export /data/a.db --format jsonl -o monday.jsonl",
            "recovery export /data/a.db --format jsonl --since monday.jsonl -o tuesday.jsonl",
            "recovery export /data/kv --format jsonl --slots 0-5460/16384 -o third.jsonl"];
    }

    internal sealed record Report(string Database, string File, long SizeBytes)
    {
        /// <summary>Of JSON lines: rows in it, and its hash.</summary>
        public long? Rows { get; init; }

        /// <summary>What the next increment names.</summary>
        public string? Sha256 { get; init; }
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var given = parsed.GetValue(output) ?? parsed.GetValue(file);
        var from = parsed.GetValue(source)!;
        var wanted = new PairsWanted(parsed.GetValue(family), parsed.GetValue(this.from), parsed.GetValue(this.to),
            parsed.GetValue(slots));
        if (await IsRocksDbAsync(from, cancellation))
            return await ExportPairsAsync(parsed, to, from, given ?? "-", wanted, cancellation);
        if (!wanted.IsAll)
            throw new RecoveryException(RecoveryError.Invalid,
                "--family, --from, --to and --slots are of a RocksDB's pairs, and this is none.");
        var named = given ?? throw new RecoveryException(RecoveryError.Invalid, "Where to?", "Give -o FILE.");
        if (parsed.GetValue(format) == RowExportFormat.Sqlite) return ExportFile(parsed, to, from, named);
        return await ExportRowsAsync(parsed, to, from, named, cancellation);
    }

    LinesTarget TargetOf(ParseResult parsed, string named) => new(named, parsed.GetValue(force));

    static int Tell(Output to, Report report, string noun)
    {
        to.Result(report, Results.Json.Export, r => to.Line($"Wrote {r.Database} to {r.File} "
            + $"({Text.Bytes(r.SizeBytes)}{(r.Rows is { } rows ? ", " + Text.Count(rows, noun) : "")})."));
        return ExitCode.Ok;
    }

    static Report ReportOf(string from, string file) => new(from, file, new FileInfo(file).Length);

    static async Task<bool> IsRocksDbAsync(string from, CancellationToken cancellation)
    {
        if (!RemoteAccess.IsUrl(from)) return RocksPairs.IsIn(from);
        await using var remote = RemoteAccess.Open(from);
        return (await remote.StoreAsync(cancellation)).Holds == StoreObject.RocksDb;
    }

    async Task<int> ExportPairsAsync(ParseResult parsed, Output to, string from, string named, PairsWanted wanted,
        CancellationToken cancellation)
    {
        if (parsed.GetResult(format) is { Implicit: false } && parsed.GetValue(format) != RowExportFormat.Jsonl)
            throw new RecoveryException(RecoveryError.Invalid,
                "The pairs of a RocksDB are exported as JSON lines.", "Give --format jsonl.");
        if (parsed.GetValue(since) is not null || parsed.GetValue(tables) is not null
            || parsed.GetValue(database) is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                "--since, --table and --database are of databases, and this is a RocksDB.",
                "--family, --from, --to and --slots say which of its pairs.");
        if (parsed.GetValue(at) is not null && !RemoteAccess.IsUrl(from))
            throw new RecoveryException(RecoveryError.Invalid, "A directory has its newest state only.",
                "--at goes with the URL of its remote.");
        var (end, file) = await TargetOf(parsed, named).WriteAsync(to, (stream, beside) =>
            WritePairsAsync(parsed, to, from, wanted, beside, stream, cancellation));
        if (file is null) return ExitCode.Ok;
        var report = ReportOf(from, file) with { Rows = end.Families.Sum(f => f.Pairs), Sha256 = end.Sha256 };
        return Tell(to, report, "pair");
    }

    async Task<PairsEnd> WritePairsAsync(ParseResult parsed, Output to, string from, PairsWanted wanted, string beside,
        Stream target, CancellationToken cancellation)
    {
        var export = new PairsExport(wanted, cancellation);
        if (!RemoteAccess.IsUrl(from)) return export.WriteLocal(Path.GetFullPath(from), target);
        var aside = Path.Combine(beside, ".recovery-export-" + Guid.NewGuid().ToString("N"));
        try
        {
            await using var remote = RemoteAccess.Open(from);
            return await export.WriteRemoteAsync(remote, RestoreTarget.Parse(parsed.GetValue(at) ?? "now"), aside,
                target, to);
        }
        finally
        {
            if (Directory.Exists(aside)) Directory.Delete(aside, recursive: true);
        }
    }

    async Task<int> ExportRowsAsync(ParseResult parsed, Output to, string from, string named,
        CancellationToken cancellation)
    {
        if (parsed.GetValue(since) is not null && parsed.GetValue(format) != RowExportFormat.Jsonl)
            throw new RecoveryException(RecoveryError.Invalid, "--since goes with --format jsonl.");
        var (end, file) = await TargetOf(parsed, named).WriteAsync(to, (stream, _) =>
            WriteRowsAsync(parsed, from, stream, to, cancellation));
        if (file is null) return ExitCode.Ok;
        var report = ReportOf(from, file) with { Rows = end?.Tables.Sum(t => t.Rows), Sha256 = end?.Sha256 };
        return Tell(to, report, "row");
    }

    async Task<BackupEnd?> WriteRowsAsync(ParseResult parsed, string from, Stream target, Output notes,
        CancellationToken cancellation)
    {
        var export = new RowExport(parsed.GetValue(format), parsed.GetValue(tables), target);
        var moment = RestoreTarget.Parse(parsed.GetValue(at) ?? "now");
        var isUrl = RemoteAccess.IsUrl(from);
        if (!isUrl && parsed.GetValue(since) is null && moment == RestoreTarget.Newest)
        {
            var (path, stub) = Find(from);
            return export.WriteLocal(StoreOf(path, stub).Path, stub.Database!, path);
        }
        var named = isUrl ? parsed.GetValue(database) : Find(from).Stub.Database!;
        if (parsed.GetValue(since) is not { } before)
        {
            await using var then = await PastPlace.OpenAsync(from, named, moment, notes, cancellation);
            return await export.WritePastAsync(then.Source, then.Database, moment, cancellation);
        }
        (BackupHeader Header, BackupEnd End)? earlier = File.Exists(before) ? BackupReader.Verify(before) : null;
        var first = earlier is { } known ? RestoreTarget.At(known.Header.Lsn) : Moment(before);
        if (moment.Lsn < first.Lsn)
            throw new RecoveryException(RecoveryError.Invalid,
                $"--at {moment.Lsn} is before --since {before} (LSN {first.Lsn}): an increment goes forward.");
        await using var past = await PastPlace.OpenAsync(from, named, first, notes, cancellation);
        return await export.WriteSinceAsync(past.Source, past.Database, first, earlier, moment, cancellation);
    }

    static RestoreTarget Moment(string since)
    {
        try
        {
            return RestoreTarget.Parse(since);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Invalid)
        {
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no file {Path.GetFullPath(since)}, and '{since}' is no LSN and no time.",
                "--since takes the backup before, or the moment.", e)
            { Path = Path.GetFullPath(since) };
        }
    }

    int ExportFile(ParseResult parsed, Output to, string named, string output)
    {
        if (RemoteAccess.IsUrl(named))
            throw new RecoveryException(RecoveryError.Invalid,
                "A plain SQLite file of a remote is made by `recovery restore URL --database NAME -o FILE`.");
        if (parsed.GetValue(tables) is not null || parsed.GetValue(since) is not null
            || parsed.GetValue(at) is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                "--table, --since and --at are of rows: give --format jsonl, csv or sql.");
        var into = Path.GetFullPath(output);
        DeliveredFile.CheckPlace(into, parsed.GetValue(force));
        var (from, stub) = Find(named);
        var store = StoreOf(from, stub);
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        using (var staging = new Staging(Path.GetDirectoryName(into)!, Path.GetFileName(into)))
            DeliveredFile.Export(staging, store.Path, stub.Database!, into, Progress.Begin, check: null);
        return Tell(to, ReportOf(from, into), "row");
    }

    static (string Path, Stub Stub) Find(string named)
    {
        var path = Path.GetFullPath(named);
        var stub = Stub.Read(path);
        if (stub.Content == PathContent.Stub) return (path, stub);
        throw stub.Content == PathContent.PlainDatabase
            ? new RecoveryException(RecoveryError.NotFound, $"{path} is a plain SQLite database, and in no store.",
                $"It is what an export would write: copy it with `sqlite3 {path} '.backup COPY'`.")
            { Path = path }
            : new RecoveryException(RecoveryError.NotFound, $"There is no RecoveryVfs database at {path}.",
                "`recovery databases DIR` lists those of a store.")
            { Path = path };
    }

    static StoreDirectory StoreOf(string path, Stub stub)
        => StoreDirectory.Find(DatabaseOpening.StoreOf(path, stub, new RecoveryOptions().WithEnvironment()));
}
