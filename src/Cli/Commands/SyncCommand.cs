using System.CommandLine;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>
/// Ships what a closed store has not shipped yet; waits for the process that has an open one to do so.
/// </summary>
internal sealed class SyncCommand : CliCommand
{
    readonly Argument<string> target;
    readonly Option<string?> remote;
    readonly Option<bool> wait, newRemote, restart;
    readonly Option<string> timeout;

    const string Teaching = """
        A store that a process has open ships by itself: this looks at the remote until it has what is in the
        store's log now, as `PRAGMA recovery_sync` does in that process. A store that nobody has open, for example
        after the application was stopped while the remote was away, is opened and ships from here.
        """;

    public SyncCommand() : base("sync", "Ship to its remote what a store has not shipped yet.")
    {
        target = Needed("DIR", "The store.");
        remote = Taking<string?>("--remote", "URL",
            "The remote (default: the one it shipped to before, else RECOVERY_REMOTE).");
        wait = Flag("--wait", "Wait for as long as --timeout says; without it, for a few seconds.");
        timeout = Usually("--timeout", "TIME", "5m", "How long --wait waits (default 5m).");
        newRemote = Flag("--new-remote", "The remote was emptied or deleted on purpose: begin it anew.");
        restart = Flag("--restart",
            "Go on from fresh hints where the local log no longer has what the remote lacks; leaves a gap in "
                + "history.");
        About = Teaching;
        Examples = ["recovery sync --wait /data", "recovery sync --wait --timeout 30s /data && poweroff"];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var directory = StoreDirectory.Find(parsed.GetValue(target)!);
        var report = await StoreSync.RunAsync(directory, new SyncOptions
        {
            Remote = parsed.GetValue(remote),
            Patience = parsed.GetValue(wait)
                ? TimeText.ParseDuration(parsed.GetValue(timeout)!)
                : TimeSpan.FromSeconds(5),
            NewRemote = parsed.GetValue(newRemote),
            Restart = parsed.GetValue(restart),
        }, cancellation);
        to.Result(report, Results.Json.Sync, r => to.Line(
            $"{r.Remote} has everything up to LSN "
                + $"{r.ShippedLsn}"
                + $"{(r.Restorable ? "; a restore can deliver it" : ", but no hints yet to start a restore from")}."));
        return ExitCode.Ok;
    }
}
