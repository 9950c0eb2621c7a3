using System.CommandLine;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Makes a replica a store of its own.</summary>
internal sealed class PromoteCommand : CliCommand
{
    readonly Argument<string> target;
    readonly Option<string?> from;

    public PromoteCommand() : base("promote", "Make a replica's directory a store of its own.")
    {
        target = Needed("DIR", "The replica. Nothing may follow into it any more.");
        from = Taking<string?>("--remote", "URL",
            "Bring the replica to the end of this remote's log first (default: RECOVERY_REMOTE, when set).");
        About = """
            The new store takes the remote over when it is first opened with it, which needs the replica to stand at the
            end of its log: give --remote. Whoever wrote there before is fenced then. Without a remote, the store begins
            at what the replica has.
            """;
        Examples = ["recovery promote /replica --remote s3://bucket/app"];
    }

    internal sealed record Report(string Store, ulong Lsn, IReadOnlyList<string> Databases);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var directory = StoreDirectory.Find(parsed.GetValue(target)!);
        if (!directory.IsReplica)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{directory.Path} is not a replica: nothing to promote.")
            { Path = directory.Path };
        if (directory.IsOfRocksDb)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{directory.Path} follows a RocksDB, and is promoted by who follows.",
                $"`recovery-tail URL --into {directory.Databases} --promote` does it, and fences the old writer.")
            { Path = directory.Path };
        Report report;
        var opened = Replica.Open(new StoreOptions { Directory = directory.Path });
        using (opened)
        using (var relayed = new RelayedReplica(opened))
        {
            var replica = relayed.Replica;
            if ((parsed.GetValue(from) ?? RemoteAccess.Default) is { } url)
                await CatchUpAsync(replica, url, cancellation);
            report = new Report(directory.Path, replica.NextLsn - 1,
                [.. replica.Databases.Select(d => d.Name).Where(n => !DeletedName.Is(n))]);
            relayed.CloseAsStore();
        }
        foreach (var name in report.Databases)
        {
            if (DatabaseName.Problem(name) is not null) continue;
            var path = Path.Combine(directory.Databases, name);
            if (Stub.Read(path).Content is PathContent.Missing or PathContent.Empty)
                Stub.Write(path, directory.Path, name);
        }
        to.Result(report, Results.Json.Promote, r => to.Line($"{r.Store} is a store of its own, at LSN {r.Lsn}."));
        return ExitCode.Ok;
    }

    static async Task CatchUpAsync(Replica replica, string url, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(url);
        var hints = (await remote.ListHintsAsync(cancellation)).FirstOrDefault(h => h.Lsn < replica.NextLsn);
        if (hints.Object.Name is null)
            throw new RecoveryException(RecoveryError.NotFound,
                $"{url} no longer has the log after LSN {replica.NextLsn - 1}.",
                $"Restore the newest state instead: recovery restore {url} DIR.")
            { Path = url, Lsn = replica.NextLsn - 1 };
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, hints.Lsn, cancellation);
        replica.SetSource(plan.Store.LogId, plan.Epoch);
        using var progress = new Progress("following", plan.Segments.Sum(s => s.SizeBytes));
        await plan.ReplayAsync((in Record record) =>
        {
            if (record.Lsn >= replica.NextLsn) replica.Apply(record);
        }, progress.Add, cancellation);
    }
}
