using System.CommandLine;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Shows what a collection would delete from a remote, and why.</summary>
internal sealed class GcCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<bool> dryRun, all;
    readonly Option<string> keep, grace;
    readonly Option<int> keepHints;

    public GcCommand() : base("gc", "Show what collection would delete from a remote, and why.")
    {
        target = With(new Argument<string?>("URL|DIR") { Description = "A remote, or a store that has one (default: RECOVERY_REMOTE).", Arity = ArgumentArity.ZeroOrOne });
        dryRun = With(new Option<bool>("--dry-run") { Description = "Needed: this only shows. The store's writer deletes, each time it publishes hints." });
        keep = With(new Option<string>("--keep") { HelpName = "TIME", Description = "Retention: how far back every state stays restorable (default 1d).", DefaultValueFactory = _ => "1d" });
        keepHints = With(new Option<int>("--keep-hints") { HelpName = "N", Description = "Newest hints that stay however old (default 2).", DefaultValueFactory = _ => 2 });
        grace = With(new Option<string>("--grace") { HelpName = "TIME", Description = "How long a restore under way may take (default 1h).", DefaultValueFactory = _ => "1h" });
        all = With(new Option<bool>("--all") { Description = "Show what stays, too." });
        Examples = ["recovery gc --dry-run s3://bucket/app", "recovery gc --dry-run s3://bucket/app --keep 7d --all"];
    }

    sealed record Report(string Remote, ulong OldestHintsLsn, int Deleted, long DeletedBytes, int Kept, long KeptBytes, IReadOnlyList<CollectionItem> Items);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        if (!parsed.GetValue(dryRun))
            throw new RecoveryException(RecoveryError.Invalid,
                "Only the store's writer deletes, each time it publishes hints: nobody else knows what it is about to need. Give --dry-run to see what it would delete.");
        var retention = new Retention
        {
            Keep = Text.ParseDuration(parsed.GetValue(keep)!),
            KeepHints = parsed.GetValue(keepHints),
            ReaderGrace = Text.ParseDuration(parsed.GetValue(grace)!),
        };
        await using var remote = RemoteAccess.Open(parsed.GetValue(target));
        var store = await remote.StoreAsync(cancellation);
        var (end, last) = await remote.Context.FindEndAsync(store, cancellation);
        last?.Dispose();
        var plan = await CollectionPlan.MakeAsync(remote.Context, store, retention, end.Epoch, cancellation: cancellation);
        var (gone, kept) = (plan.Deletions.ToList(), plan.Items.Where(i => !i.Delete).ToList());
        var shown = parsed.GetValue(all) ? plan.Items : gone;
        to.Result(new Report(remote.Url, plan.OldestHintsLsn, gone.Count, gone.Sum(i => i.SizeBytes), kept.Count, kept.Sum(i => i.SizeBytes), shown), r =>
        {
            if (r.Items.Count > 0)
                to.Table(["", "OBJECT", "SIZE>", "WHY"], r.Items.Select(i => new[] { i.Delete ? "delete" : "keep", i.Name, Text.Bytes(i.SizeBytes), i.Why }));
            to.Line($"Would delete {Text.Count(r.Deleted, "object")} ({Text.Bytes(r.DeletedBytes)}) and keep {r.Kept} ({Text.Bytes(r.KeptBytes)}).");
        });
        return ExitCode.Ok;
    }
}
