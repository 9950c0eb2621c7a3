using System.CommandLine;
using System.Diagnostics;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Ships what a closed store has not shipped yet; waits for the process that has an open one to do so.</summary>
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
        wait = With(new Option<bool>("--wait") { Description = "Wait for as long as --timeout says; without it, for a few seconds." });
        timeout = With(new Option<string>("--timeout") { HelpName = "TIME", Description = "How long --wait waits (default 5m).", DefaultValueFactory = _ => "5m" });
        newRemote = With(new Option<bool>("--new-remote") { Description = "The remote was emptied or deleted on purpose: begin it anew." });
        restart = With(new Option<bool>("--restart") { Description = "Go on from fresh hints where the local log no longer has what the remote lacks; leaves a gap in history." });
        About = """
            A store that a process has open ships by itself: this looks at the remote until it has what is in the store's log now, as
            `PRAGMA recovery_sync` does in that process. A store that nobody has open, for example after the application was stopped while the remote
            was away, is opened and ships from here.
            """;
        Examples = ["recovery sync --wait /data", "recovery sync --wait --timeout 30s /data && poweroff"];
    }

    internal sealed record Report(string Store, string Remote, ulong Lsn, ulong ShippedLsn, bool Restorable);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var directory = StoreDirectory.Find(parsed.GetValue(target)!);
        var patience = parsed.GetValue(wait) ? TimeText.ParseDuration(parsed.GetValue(timeout)!) : TimeSpan.FromSeconds(5);
        if (parsed.GetValue(remote) is null && RemoteAccess.Default is null) await UntilRemoteIsKnownAsync(directory, patience, cancellation);
        var url = directory.ChooseRemote(parsed.GetValue(remote));
        var report = await WaitForHolderAsync(parsed, directory, url, patience, cancellation) ?? await ShipAsync(parsed, directory, url, patience, cancellation);
        to.Result(report, Results.Json.Sync, r => to.Line(
            $"{r.Remote} has everything up to LSN {r.ShippedLsn}{(r.Restorable ? "; a restore can deliver it" : ", but no hints yet to start a restore from")}."));
        return ExitCode.Ok;
    }

    /// <summary>A store that was opened just now says where it ships to once it got there; until then, only that it ships.</summary>
    static async Task UntilRemoteIsKnownAsync(StoreDirectory directory, TimeSpan patience, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        while (directory.RemoteUrl is null && directory.Author is not null && directory.Holder() is not null && Stopwatch.GetElapsedTime(started) < patience)
            await Task.Delay(LookInterval, cancellation);
    }

    /// <summary>Waits for the process that has the store open; null when there is none, or none any more.</summary>
    async Task<Report?> WaitForHolderAsync(ParseResult parsed, StoreDirectory directory, string url, TimeSpan patience, CancellationToken cancellation)
    {
        if (directory.Holder() is not { } holder) return null;
        // Before it has reached its remote for the first time, a store only knows who it is there.
        var shipsThere = directory.RemoteUrl is { } known ? known == url : directory.Author is not null;
        if (!shipsThere || parsed.GetValue(newRemote) || parsed.GetValue(restart))
            throw new RecoveryException(RecoveryError.Busy,
                $"The store {directory.Path} is open in {holder}, which ships to "
                + $"{directory.RemoteUrl ?? "no remote"}.",
                "End that process first, or open the store there with that remote.") { Path = directory.Path };
        var lsn = directory.ReadLog(static _ => { }, static (in Record _) => { }).End?.LastLsn ?? 0;
        var started = Stopwatch.GetTimestamp();
        await using var remote = RemoteAccess.Open(url);
        while (true)
        {
            var end = await remote.TryStoreAsync(cancellation) is { } store ? await EndAsync(remote, store, cancellation) : default;
            if (end.Epoch > 0 && end.Author != directory.Author)
                throw new RecoveryException(RecoveryError.Fenced,
                    $"Another writer has taken {url} over: what {holder} has not shipped never will be (see "
                    + "`recovery status`, `recovery salvage`).") { Path = url };
            var shipped = end.NextLsn > lsn;
            // Shipped is not restorable: that takes hints to start from, and no gap that waits for some.
            if (shipped && !new StoreHome(directory.Path).IsRestarting && (await remote.ListHintsAsync(cancellation)).Count > 0)
                return new Report(directory.Path, url, lsn, end.LastLsn, true);
            if (directory.Holder() is null) return null;
            if (Stopwatch.GetElapsedTime(started) >= patience)
                throw new RecoveryException(RecoveryError.Remote, shipped
                    ? $"{url} has everything up to LSN {lsn}, but no hints to start a restore from: it cannot be restored yet. "
                        + $"`PRAGMA recovery_status` in {holder} says why (remote_hints_error)."
                    : $"{url} has everything up to LSN {(end.NextLsn == 0 ? 0 : end.LastLsn)} of {lsn}, "
                        + $"and {holder} did not ship the rest in time. `PRAGMA recovery_status` there says why "
                        + "(remote_error).") { Path = url };
            await Task.Delay(LookInterval, cancellation);
        }
    }

    static async Task<RemoteLogEnd> EndAsync(RemoteAccess remote, StoreObject store, CancellationToken cancellation)
    {
        var (end, last) = await remote.Context.FindEndAsync(store, cancellation);
        last?.Dispose();
        return end;
    }

    /// <summary>The store's directory and its remote are all that tells of what another process ships.</summary>
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(250);

    async Task<Report> ShipAsync(ParseResult parsed, StoreDirectory directory, string url, TimeSpan patience, CancellationToken cancellation)
    {
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
        var (lsn, shipping) = (store.Lsn.Last, store.RemoteOrThrow());
        try
        {
            await Task.Run(() => shipping.WaitShipped(lsn), limit.Token).WaitAsync(limit.Token);
            return new Report(directory.Path, url, lsn, shipping.State.ShippedLsn, shipping.State.Hints is not null);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new RecoveryException(RecoveryError.Remote,
                $"{url} has everything up to LSN {shipping.State.ShippedLsn} of {lsn}: "
                + $"{shipping.State.LastError?.Message ?? "It was not done in time."} "
                + "What is left stays in the local log; try again later.")
            { Path = url, Lsn = shipping.State.ShippedLsn };
        }
    }
}
