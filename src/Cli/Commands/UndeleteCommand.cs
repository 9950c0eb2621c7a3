using System.CommandLine;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Brings back a database whose file was removed.</summary>
internal sealed class UndeleteCommand : CliCommand
{
    readonly Argument<string> database;
    readonly Option<string?> other;

    public UndeleteCommand() : base("undelete", "Bring back a database whose file was removed.")
    {
        database = Needed("DATABASE", "The database, as /data/a.db.");
        other = Taking<string?>("--as", "NAME", "Under another name: its own is taken again.");
        About = """
            Who removes the file of a database (rm, EF Core's EnsureDeleted) deletes it: opening the path again makes a
            new one. The old one is kept in the store for as long as its retention says; `recovery databases --deleted
            DIR` lists it. Of several with one name, the one deleted last comes back. What `recovery delete` has deleted
            is only in the remote: recovery restore URL -o FILE --database a.db --lsn N.
            """;
        Examples = ["recovery undelete /data/a.db", "recovery undelete /data/a.db --as old.db"];
    }

    internal sealed record Report(string Undeleted);

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var path = Path.GetFullPath(parsed.GetValue(database)!);
        var target = parsed.GetValue(other) is { } name
            ? Path.Combine(Path.GetDirectoryName(path)!, Path.GetFileName(name))
            : path;
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        Recovery.Undelete(path, target);
        Recovery.CloseIdleStores();
        to.Result(new Report(target), Results.Json.Undelete, r => to.Line($"{r.Undeleted} is back."));
        return Task.FromResult(ExitCode.Ok);
    }
}
