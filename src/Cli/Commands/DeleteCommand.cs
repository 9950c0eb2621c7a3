using System.CommandLine;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Deletes a database from its store.</summary>
internal sealed class DeleteCommand : CliCommand
{
    readonly Argument<string> database;

    public DeleteCommand() : base("delete", "Delete a database, with its journal and WAL, from its store.")
    {
        database = Needed("DATABASE", "The database, as /data/a.db.");
        About = "A remote keeps the states before the deletion for as long as its retention says: recovery restore "
            + "URL -o FILE --database a.db --lsn N.";
        Examples = ["recovery delete /data/a.db"];
    }

    internal sealed record Report(string Deleted);

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var path = Path.GetFullPath(parsed.GetValue(database)!);
        if (Stub.Read(path).Content != PathContent.Stub) throw new RecoveryException(RecoveryError.NotFound,
            $"There is no RecoveryVfs database at {path}.")
        { Path = path };
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        Recovery.Delete(path);
        Recovery.CloseIdleStores();
        to.Result(new Report(path), Results.Json.Delete, r => to.Line($"Deleted {r.Deleted}."));
        return Task.FromResult(ExitCode.Ok);
    }
}
