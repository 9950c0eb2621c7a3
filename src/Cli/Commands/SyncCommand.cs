using System.CommandLine;
using RecoveryVfs.PageStore;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Ships what a closed store has not shipped yet.</summary>
internal sealed class SyncCommand : CliCommand
{
    readonly Argument<string> target;
    readonly Option<string?> remote;
    readonly Option<bool> wait, newRemote, restart;
    readonly Option<string> timeout;

    public SyncCommand() : base("sync", "Ship to its remote what a store has not shipped yet.")
    {
        target = With(new Argument<string>("DIR") { Description = "The store." });
        remote = With(new Option<string?>("--remote") { HelpName = "URL", Description = "The remote (default: the one it shipped to before, else RECOVERY_REMOTE)." });
        wait = With(new Option<bool>("--wait") { Description = "Wait until the remote has everything (for --timeout); without it, for a few seconds." });
        timeout = With(new Option<string>("--timeout") { HelpName = "TIME", Description = "How long --wait waits (default 5m).", DefaultValueFactory = _ => "5m" });
        newRemote = With(new Option<bool>("--new-remote") { Description = "The remote was emptied or deleted on purpose: begin it anew." });
        restart = With(new Option<bool>("--restart") { Description = "Go on from fresh hints where the local log no longer has what the remote lacks; leaves a gap in history." });
        About = """
            A store that a process has open ships by itself: there, `PRAGMA recovery_sync` waits until the remote has everything.
            This opens a store that nobody has open, for example after the application was stopped while the remote was away.
            """;
        Examples = ["recovery sync --wait /data", "sqlite3 'file:/data/a.db?vfs=recovery' 'PRAGMA recovery_sync'     # in use; with the extension loaded"];
    }

    internal sealed record Report(string Store, string Remote, ulong Lsn, ulong ShippedLsn, bool Restorable);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var directory = StoreDirectory.Find(parsed.GetValue(target)!);
        var url = directory.ChooseRemote(parsed.GetValue(remote));
        var patience = parsed.GetValue(wait) ? Text.ParseDuration(parsed.GetValue(timeout)!) : TimeSpan.FromSeconds(5);
        if (directory.Holder() is { } holder)
            throw new RecoveryException(RecoveryError.Busy, $"The store {directory.Path} is open in {holder}, which ships by itself. Wait with `PRAGMA recovery_sync` there.");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(patience);
        var options = directory.OptionsWith(url);
        // What must stay restorable is known to the application; this only ships.
        var shipped = options.Remote! with
        {
            Retention = null,
            VerifyInterval = TimeSpan.Zero,
            MayCreateAgain = parsed.GetValue(newRemote),
            MayRestart = parsed.GetValue(restart) || options.Remote!.MayRestart,
        };
        using var store = Store.Open(options with { Remote = shipped });
        var (lsn, shipping) = (store.Lsn.Last, store.Remote!);
        var report = new Report(directory.Path, url, lsn, 0, false);
        try
        {
            await Task.Run(() => shipping.WaitShipped(lsn), limit.Token).WaitAsync(limit.Token);
            report = report with { ShippedLsn = shipping.State.ShippedLsn, Restorable = shipping.State.Hints is not null };
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            var why = shipping.State.LastError is { } error ? error.Message : "It was not done in time.";
            throw new RecoveryException(RecoveryError.Remote,
                $"{url} has everything up to LSN {shipping.State.ShippedLsn} of {lsn}: {why} What is left stays in the local log; try again later.");
        }
        to.Result(report, Results.Json.Sync, r => to.Line($"{r.Remote} has everything up to LSN {r.ShippedLsn}."));
        return ExitCode.Ok;
    }
}
