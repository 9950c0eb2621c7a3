using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Lists the branches of a remote.</summary>
internal sealed class BranchesCommand : CliCommand
{
    readonly Argument<string?> target;

    public BranchesCommand() : base("branches", "List the branches of a remote: what needs objects in it.")
    {
        target = WithPlace();
        Examples = ["recovery branches s3://bucket/app"];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(parsed.GetValue(target));
        await remote.StoreAsync(cancellation);
        var all = await BranchWork.ListAsync(remote, cancellation);
        to.Result(all, Results.Json.Branches,
            branches => to.Table(["BRANCH", "LSN>", "EXPIRES", "PIN", "STATE"], branches.Select(b => new[]
            {
                b.Url, b.Lsn.ToString(CultureInfo.InvariantCulture), b.Expires is { } end ? Text.Time(end) : "never",
                b.Pin ?? "-", b.Problem ?? "ok",
            })));
        return ExitCode.Ok;
    }
}
