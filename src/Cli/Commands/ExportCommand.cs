using System.CommandLine;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Writes a database of a store as a plain SQLite file.</summary>
internal sealed class ExportCommand : CliCommand
{
    readonly Argument<string> database;
    readonly Argument<string?> file;
    readonly Option<string?> output;
    readonly Option<bool> force;

    public ExportCommand() : base("export", "Write a database of a store as a plain SQLite file.")
    {
        database = With(new Argument<string>("DATABASE") { Description = "The database, as /data/a.db." });
        file = With(new Argument<string?>("FILE") { Description = "The file to write; or give -o.", Arity = ArgumentArity.ZeroOrOne });
        output = With(new Option<string?>("--output", "-o") { HelpName = "FILE", Description = "The file to write." });
        force = With(new Option<bool>("--force") { Description = "Overwrite FILE." });
        About = "As of its newest commit. A store in use by another process can be exported from, too.";
        Examples = ["recovery export /data/a.db -o /tmp/a.db"];
    }

    internal sealed record Report(string Database, string File, long SizeBytes);

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var from = Path.GetFullPath(parsed.GetValue(database)!);
        var into = Path.GetFullPath(parsed.GetValue(output) ?? parsed.GetValue(file)
            ?? throw new RecoveryException(RecoveryError.Invalid, "Where to?", "Give -o FILE."));
        PlainFile.CheckPlace(into, parsed.GetValue(force));
        var stub = Stub.Read(from);
        if (stub.Content != PathContent.Stub) throw new RecoveryException(RecoveryError.NotFound,
            $"There is no RecoveryVfs database at {from}.") { Path = from };
        var store = StoreDirectory.Find(DatabaseOpening.StoreOf(from, stub, new RecoveryOptions().WithEnvironment()));
        using (var staging = new Staging(Path.GetDirectoryName(into)!, Path.GetFileName(into)))
            PlainFile.Export(staging, store.Path, stub.Database!, into, IntegrityCheck.None);
        to.Result(new Report(from, into, new FileInfo(into).Length), Results.Json.Export, r => to.Line($"Wrote {r.Database} to {r.File} ({Text.Bytes(r.SizeBytes)})."));
        return Task.FromResult(ExitCode.Ok);
    }
}
