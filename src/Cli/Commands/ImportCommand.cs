using System.CommandLine;
using System.Diagnostics;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Brings a plain SQLite database into a store.</summary>
internal sealed class ImportCommand : CliCommand
{
    readonly Argument<string> plain;
    readonly Argument<string?> database;

    public ImportCommand() : base("import", "Bring a plain SQLite database into a store.")
    {
        plain = With(new Argument<string>("PLAINFILE") { Description = "The plain SQLite database. It is left as it is." });
        database = With(new Argument<string?>("DATABASE") { Description = "Where to, as /data/a.db (default: the same path; the plain file is then kept as PLAINFILE.plain).", Arity = ArgumentArity.ZeroOrOne });
        About = "Uses SQLite's own backup, so a WAL or hot journal of the plain database is taken into account. A database that is there already is not overwritten.\nA store with a remote ships what was imported when it is opened.";
        Examples = ["recovery import old/app.db /data/app.db", "recovery import /data/app.db"];
    }

    internal sealed record Report(string From, string Database, long SizeBytes, double Seconds);

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var from = Path.GetFullPath(parsed.GetValue(plain)!);
        var into = Path.GetFullPath(parsed.GetValue(database) ?? from);
        if (!File.Exists(from)) throw new RecoveryException(RecoveryError.NotFound,
            $"There is no file {from}.") { Path = from };
        if (Directory.Exists(into)) into = Path.Combine(into, Path.GetFileName(from));
        SQLitePCL.Batteries_V2.Init();
        var (size, started) = (new FileInfo(from).Length, Stopwatch.GetTimestamp());
        // One transaction of all pages: what does not fit into memory is written twice.
        Recovery.Register(new RecoveryOptions { OverlayBytes = Math.Clamp(size + (size / 4), RecoveryOptions.UsualOverlayBytes, Math.Max(RecoveryOptions.UsualOverlayBytes, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8)) });
        using (var progress = new Progress("importing", size)) Recovery.Import(from, into, progress.Reach);
        using (new Progress("closing the store")) Recovery.CloseIdleStores();
        var report = new Report(from, into, size, Stopwatch.GetElapsedTime(started).TotalSeconds);
        to.Result(report, Results.Json.Import, r => to.Line($"Imported {r.From} as {r.Database} ({Text.Bytes(r.SizeBytes)} in {Text.Duration(TimeSpan.FromSeconds(r.Seconds))}); open it with file:{r.Database}?vfs=recovery"));
        return Task.FromResult(ExitCode.Ok);
    }
}
