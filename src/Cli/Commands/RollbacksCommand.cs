using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.Rollbacks;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Lists what a store's databases were taken back to.</summary>
internal sealed class RollbacksCommand : CliCommand
{
    readonly Argument<string> directory;

    public RollbacksCommand()
        : base("rollbacks", "List what a store's databases were taken back to, and the bookmarks that undo it.")
    {
        directory = Needed("DIR", "The store.");
        Examples = ["recovery rollbacks /data"];
    }

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var store = StoreDirectory.Find(parsed.GetValue(directory)!);
        store.ThrowUnlessDatabases();
        var all = new RollbackList(store.Path).Read();
        to.Result([.. all], Results.Json.Rollbacks,
            entries => to.Table(["AT", "DATABASE", "TO", "UNDO", "LSN>"], entries.Select(e => new[]
            {
                Text.Time(e.At), e.Database, e.To, e.Undo ?? "not known to have ended",
                e.Lsn?.ToString(CultureInfo.InvariantCulture) ?? "-",
            })));
        return Task.FromResult(ExitCode.Ok);
    }
}
