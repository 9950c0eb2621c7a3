using System.CommandLine;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>
/// Deletes from a remote what nothing needs any more, as its store's writer; or shows what that would be, and why.
/// </summary>
internal sealed class GcCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<bool> dryRun, all;
    readonly Option<string?> keep, remoteUrl;
    readonly Option<string> grace;
    readonly Option<int> keepHints;

    const string Teaching = """
        A store that is in use collects by itself each time it publishes hints, so this is for one that is not, or
        after retention was shortened. Only the remote's own writer deletes, since nobody else knows what it is
        about to need: without --dry-run, name its directory. It ships what is left and publishes hints first, so
        that older ones may go. What a pin keeps (`recovery snapshot --list`) always stays.
        """;

    public GcCommand() : base("gc", "Delete from a remote what nothing needs any more, or show what that would be.")
    {
        target = Optional("DIR|URL", "The store; with --dry-run also a remote (default then: RECOVERY_REMOTE).");
        dryRun = Flag("--dry-run", "Delete nothing; say what would go, and why.");
        keep = Taking<string?>("--keep", "TIME",
            "Retention: how far back every state stays restorable (default: the store's `retention`, else 1d).");
        keepHints = Usually("--keep-hints", "N", 2, "Newest hints that stay however old (default 2).");
        grace = Usually("--grace", "TIME", "1h", "How long a restore under way may take (default 1h).");
        remoteUrl = Taking<string?>("--remote", "URL", "The store's remote (default: the one it ships to).");
        all = Flag("--all", "Show what stays, too.");
        About = Teaching;
        Examples = ["recovery gc /data", "recovery gc /data --keep 7d", "recovery gc --dry-run s3://bucket/app --all"];
    }

    internal sealed record Report(string Remote, bool DryRun, ulong OldestHintsLsn, int Deleted, long DeletedBytes,
        int Kept, long KeptBytes, IReadOnlyList<CollectionItem> Items);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var isDry = parsed.GetValue(dryRun);
        var name = parsed.GetValue(target) ?? (!isDry && Directory.Exists(StoreDirectory.Within(".")) ? "." : null);
        if (!isDry && (name is null || RemoteAccess.IsUrl(name)))
            throw new RecoveryException(RecoveryError.Invalid,
                "Only the remote's own writer deletes: nobody else knows what it is about to need.",
                "Name its store's directory, or give --dry-run to see what would go.");
        if (parsed.GetValue(keepHints) < 1)
            throw new RecoveryException(RecoveryError.Invalid,
                "--keep-hints is 1 or more: without hints nothing can be restored.");
        var (url, plan) = isDry
            ? await PlanAsync(parsed, name, cancellation)
            : await CollectAsync(parsed, StoreDirectory.Find(name!), cancellation);
        var (gone, kept) = (plan.Deletions.ToList(), plan.Items.Where(i => !i.Delete).ToList());
        var shown = parsed.GetValue(all) ? plan.Items : gone;
        to.Result(new Report(url, isDry, plan.OldestHintsLsn, gone.Count, gone.Sum(i => i.SizeBytes), kept.Count,
            kept.Sum(i => i.SizeBytes), shown), Results.Json.Gc, r =>
        {
            if (r.Items.Count > 0)
                to.Table(["", "OBJECT", "SIZE>", "WHY"],
                    r.Items.Select(i
                    => new[] { !i.Delete ? "keep" : isDry ? "delete" : "deleted", i.Name, Text.Bytes(i.SizeBytes),
                        i.Why }));
            var (delete, keeps) = isDry ? ("Would delete", "keep") : ("Deleted", "kept");
            to.Line($"{delete} {Text.Count(r.Deleted, "object")} ({Text.Bytes(r.DeletedBytes)}) and {keeps} {r.Kept} "
                + $"({Text.Bytes(r.KeptBytes)}).");
        });
        return ExitCode.Ok;
    }

    Retention RetentionOf(ParseResult parsed, Retention? known) => new()
    {
        Keep = parsed.GetValue(keep) is { } text ? TimeText.ParseDuration(text) : known?.Keep ?? new Retention().Keep,
        KeepHints = parsed.GetValue(keepHints),
        ReaderGrace = TimeText.ParseDuration(parsed.GetValue(grace)!),
    };

    async Task<(string, CollectionPlan)> PlanAsync(ParseResult parsed, string? name, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(parsed.GetValue(remoteUrl) ?? name);
        var known = name is not null && !RemoteAccess.IsUrl(name)
            ? StoreDirectory.Find(name).OptionsWith(remote.Url).Remote!.Retention
            : null;
        var store = await remote.StoreAsync(cancellation);
        var (end, last) = await remote.Context.FindEndAsync(store, cancellation);
        last?.Dispose();
        return (remote.Url,
            await CollectionPlan.MakeAsync(remote.Context, store, RetentionOf(parsed, known), end.Epoch,
            cancellation: cancellation));
    }

    async Task<(string, CollectionPlan)> CollectAsync(ParseResult parsed, StoreDirectory directory,
        CancellationToken cancellation)
    {
        if (directory.Holder() is { } holder)
            throw new RecoveryException(RecoveryError.Busy,
                $"The store {directory.Path} is open in {holder}, which collects by itself, by its `retention`.")
            { Path = directory.Path };
        var url = directory.ChooseRemote(parsed.GetValue(remoteUrl));
        var options = directory.OptionsWith(url);
        var retention = RetentionOf(parsed, options.Remote!.Retention);
        // Hints only when this says so, and so collection only by the retention that was asked for.
        options = options with
        {
            Remote =
                options.Remote with { Retention = null, VerifyInterval = TimeSpan.Zero, HintsBytes = long.MaxValue }
        };
        if (directory.IsOfRocksDb)
            return (url, await ClosedDirectory.CollectAsync(directory.Databases, options, retention, Patience,
                cancellation));
        using var store = Store.Open(options);
        var remote = store.RemoteOrThrow();
        await UntilShippedAsync(store, remote, cancellation);
        if (remote.State.BytesSinceHints > 0) await remote.PublishHintsAsync(cancellation);
        return (url, await remote.CollectAsync(retention, cancellation));
    }

    static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    static async Task UntilShippedAsync(Store store, StoreRemote remote, CancellationToken cancellation)
    {
        store.Sync();
        try
        {
            await remote.WhenRestorableAsync(store.Lsn.Last, cancellation).WaitAsync(Patience, cancellation);
        }
        catch (TimeoutException)
        {
            throw new RecoveryException(RecoveryError.Remote,
                $"{remote.Url} could not be reached: "
                + $"{remote.State.LastError?.Message ?? "it was not done in time."} Nothing was deleted.")
            { Path = remote.Url };
        }
    }
}
