using System.CommandLine;
using System.Diagnostics;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Changes.Pairs;
using RecoveryVfs.Cli.Backups;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Brings a plain SQLite database, or backups as JSON lines, into a store.</summary>
internal sealed class ImportCommand : CliCommand
{
    readonly Argument<string[]> given;
    readonly Option<ExistingDatabase> existing;

    public ImportCommand() : base("import", "Bring a plain SQLite database, or backups as JSON lines, into a store.")
    {
        given = With(
            new Argument<string[]>("FILE.. DATABASE|DIR")
            {
                Description =
                    "A plain SQLite database, which is left as it is, or backups that follow each other; and where "
                        + "to, as "
                        + "/data/a.db (of a plain database by default the same path; it is then kept as FILE.plain).",
                Arity = ArgumentArity.OneOrMore
            });
        existing = Taking<ExistingDatabase>("--into-existing", "fail|merge|replace",
            "Of JSON lines, when the database has tables already: refuse (default), write rows over those with the "
                + "same keys (its own triggers stay, and do not fire), or drop all that is there first.");
        About = """
            A plain database comes in by one commit, all of it or nothing, as SQLite reads it: its WAL or hot journal
            is taken into account. One that is there already is not overwritten.

            Backups (`recovery export --format jsonl`) are verified first, each and as a chain, and come in as one
            transaction: all of it, or nothing. A store with a remote ships what was imported when it is opened.

            Pairs that `recovery export` wrote of a RocksDB come into a new RocksDB, which appears whole or not at all.
            With --into-existing merge they come into one that nobody has open, in batches: what an import that was
            stopped has left is completed by another one. One that is recorded ships them.
            """;
        Examples = ["recovery import old/app.db /data/app.db", "recovery import /data/app.db",
            "recovery import monday.jsonl tuesday.jsonl /data/app.db", "recovery import pairs.jsonl /data/kv"];
    }

    internal sealed record Rows(IReadOnlyList<string> From, string Database, long Lines, double Seconds);

    internal sealed record Report(string From, string Database, long SizeBytes, double Seconds);

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var named = parsed.GetValue(given)!;
        var from = Path.GetFullPath(named[0]);
        if (!File.Exists(from)) throw new RecoveryException(RecoveryError.NotFound,
            $"There is no file {from}.", "Check the path.")
        { Path = from };
        if (PairsReader.TryOpen(from) is { } pairs)
        {
            pairs.Dispose();
            return ImportPairsAsync(parsed, to, named, cancellation);
        }
        if (IsBackup(from)) return Task.FromResult(ImportRows(parsed, to, named));
        if (named.Length > 2)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{from} is no backup as JSON lines: give it and where to, and nothing else.");
        var into = Path.GetFullPath(named.Length > 1 ? named[1] : from);
        if (Directory.Exists(into)) into = Path.Combine(into, Path.GetFileName(from));
        SQLitePCL.Batteries_V2.Init();
        var (size, started) = (new FileInfo(from).Length, Stopwatch.GetTimestamp());
        // One transaction of all pages: what does not fit into memory is written twice.
        Recovery.Register(
            new RecoveryOptions
            {
                OverlayBytes =
                    Math.Clamp(size + (size / 4), RecoveryOptions.UsualOverlayBytes,
                    Math.Max(RecoveryOptions.UsualOverlayBytes, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8))
            });
        using (var progress = new Progress("importing", size)) Recovery.Import(from, into, progress.Reach);
        using (new Progress("closing the store")) Recovery.CloseIdleStores();
        var report = new Report(from, into, size, Stopwatch.GetElapsedTime(started).TotalSeconds);
        to.Result(report, Results.Json.Import,
            r => to.Line(
            $"Imported {r.From} as {r.Database} ({Text.Bytes(r.SizeBytes)} in "
                + $"{Text.Duration(TimeSpan.FromSeconds(r.Seconds))}); open it with file:{r.Database}?vfs=recovery"));
        return Task.FromResult(ExitCode.Ok);
    }

    async Task<int> ImportPairsAsync(ParseResult parsed, Output to, string[] named, CancellationToken cancellation)
    {
        if (named.Length != 2)
            throw new RecoveryException(RecoveryError.Invalid,
                "Pairs come from one file into one RocksDB: recovery import pairs.jsonl /data/kv.");
        if (parsed.GetValue(existing) == ExistingDatabase.Replace)
            throw new RecoveryException(RecoveryError.Invalid,
                "A RocksDB is not emptied by an import.", "Import into a new directory, or --into-existing merge.");
        var into = Path.TrimEndingDirectorySeparator(Path.GetFullPath(named[1]));
        var started = Stopwatch.GetTimestamp();
        long written;
        using (new Progress("importing pairs"))
            written = await new PairsImport(Path.GetFullPath(named[0]), into, cancellation)
                .RunAsync(parsed.GetValue(existing) == ExistingDatabase.Merge);
        var report = new Rows([named[0]], into, written, Stopwatch.GetElapsedTime(started).TotalSeconds);
        to.Result(report, Results.Json.ImportRows, r => to.Line(
            $"Imported {Text.Count(r.Lines, "pair")} into {r.Database} in "
                + $"{Text.Duration(TimeSpan.FromSeconds(r.Seconds))}"));
        return ExitCode.Ok;
    }

    static bool IsBackup(string file)
    {
        using var reader = BackupReader.TryOpen(file);
        return reader is not null;
    }

    int ImportRows(ParseResult parsed, Output to, string[] named)
    {
        if (named.Length < 2)
            throw new RecoveryException(RecoveryError.Invalid,
                "Where to? Name the database after the backup, as /data/a.db.");
        var files = named[..^1];
        var into = Path.GetFullPath(named[^1]);
        var started = Stopwatch.GetTimestamp();
        // Nothing is made where nothing can come in.
        BackupReader.VerifyChain(files);
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        long rows;
        using (new Progress("importing rows"))
        {
            using (var connection = new Connection($"file:{Connection.Escaped(into)}?vfs=recovery"))
            {
                var import = new RowImport(connection, parsed.GetValue(existing));
                import.Run(files);
                rows = import.Rows;
            }
            Recovery.CloseIdleStores();
        }
        var report = new Rows(files, into, rows, Stopwatch.GetElapsedTime(started).TotalSeconds);
        to.Result(report, Results.Json.ImportRows,
            r => to.Line(
            $"Imported {Text.Count(r.Lines, "row")} into {r.Database} in "
                + $"{Text.Duration(TimeSpan.FromSeconds(r.Seconds))}"));
        return ExitCode.Ok;
    }
}
