using System.CommandLine;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Shows or sets the remote that a store ships to.</summary>
internal sealed class RemoteCommand : CliCommand
{
    readonly Argument<string> action;
    readonly Argument<string> target;
    readonly Argument<string?> url;

    public RemoteCommand() : base("remote", "Show or set the remote that a store ships to.")
    {
        action = Needed("set|show", "set: from the next opening on, the store ships to URL. show: where it ships to.");
        action.AcceptOnlyFromAmong("set", "show");
        target = Needed("DIR", "The store. To set its remote, nobody may have it open.");
        url = Optional("URL", "s3://bucket/prefix, file:///directory, or none.");
        About = """
            A store remembers where it ships to, and a database's URI (remote=) does not change that: this does, or the
            store's config file, or RECOVERY_REMOTE. A new remote begins with everything that the store holds now. The
            old one stays as it is, with all that was shipped there.
            """;
        Examples = ["recovery remote show /data", "recovery remote set /data s3://bucket/app",
            "recovery remote set /data none"];
    }

    internal sealed record Report(string Store, string Remote, IReadOnlyList<string> Before);

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var store = StoreDirectory.Find(parsed.GetValue(target)!);
        var wanted = parsed.GetValue(url);
        var sets = parsed.GetValue(action) == "set";
        if (sets != wanted is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                sets ? "Say which remote: recovery remote set DIR URL (or none)."
                : "`show` takes no URL; to change the remote: recovery remote set DIR URL.");
        if (sets) Set(store, wanted!);
        var current = store.RemoteUrl;
        to.Result(new Report(store.Path, current ?? "none", [.. store.RemotesBefore.Where(u => u != current)]),
            Results.Json.Remote, r =>
        {
            to.Line(sets ? $"From its next opening on, {r.Store} ships to {r.Remote}." : r.Remote);
            foreach (var old in r.Before) to.Line($"It has shipped to {old} before.");
        });
        return Task.FromResult(ExitCode.Ok);
    }

    static void Set(StoreDirectory store, string wanted)
    {
        if (store.ConfiguredRemote is { } configured && configured != wanted)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{Path.Combine(store.Path, "config")} says remote = {configured}, which counts more.",
                "Change it there.");
        Store.SetRemote(store.Path, wanted);
    }
}
