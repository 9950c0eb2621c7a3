using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Makes a remote that begins with a state of another, makes it anew, or deletes it.</summary>
internal sealed class BranchCommand : CliCommand
{
    readonly Argument<string[]> places;
    readonly Option<string?> expires;
    readonly Option<bool> reset, delete;
    readonly MomentOptions moment;

    public BranchCommand()
        : base("branch", "Make a remote of its own that begins with a state of another; or delete it.")
    {
        places = With(new Argument<string[]>("URL|DIR NEWURL|NEWDIR")
        {
            Description = "The remote or store, and where the branch goes. With --delete, the branch.",
            Arity = new ArgumentArity(1, 2)
        });
        moment = new MomentOptions(this);
        expires = Taking<string?>("--expires", "TIME",
            "Until when the parent keeps what it needs: 7d, 12h, or a time (default: for good).");
        reset = Flag("--reset", "NEWURL is a branch already: delete it, and begin it anew from the parent.");
        delete = Flag("--delete", "Delete a branch, unless others were branched from it.");
        About = """
            Nothing large is copied: the branch names the parent's extents, and a pin there keeps them; what is written
            is the log since the parent's hints. It has a log of its own: restore it, follow it, write to it as to any
            remote; the parent never notices. Whoever reads it needs to read the parent, too. To another bucket, or from
            a directory to a bucket, everything is copied, and the branch needs nothing of the parent afterwards. From a
            directory to another one (recovery branch /data /test), a store becomes two, also while it is written:
            sealed files are shared by hard links. A store without a remote is shipped whole to the URL. Versions of
            RecoveryVfs that know no branches refuse one.
            """;
        Examples =
        [
            "recovery branch s3://bucket/app s3://bucket/app-test --expires 7d",
            "recovery branch s3://bucket/app s3://bucket/app-before --timestamp 'yesterday 14:00'",
            "recovery branch s3://bucket/app s3://bucket/app-test --reset",
            "recovery branch --delete s3://bucket/app-test",
            "recovery branch /data /test",
        ];
    }

    internal sealed record Deleted(string Branch);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var given = parsed.GetValue(places)!;
        if (parsed.GetValue(delete))
        {
            if (given.Length != 1 || !RemoteAccess.IsUrl(given[0]))
                throw new RecoveryException(RecoveryError.Invalid,
                    "--delete takes the URL of the branch, and no more.");
            await BranchWork.RemoveAsync(given[0], cancellation);
            to.Result(new Deleted(given[0]), Results.Json.BranchDeleted, d => to.Line($"Deleted {d.Branch}."));
            return ExitCode.Ok;
        }
        if (given is not [var from, var branch] || (RemoteAccess.IsUrl(from) && !RemoteAccess.IsUrl(branch)))
            throw new RecoveryException(RecoveryError.Invalid,
                "Give the remote and the URL of the branch: recovery branch s3://bucket/app s3://bucket/app-test.");
        if (await BranchWork.LocalAsync(from, branch, cancellation) is { } store)
        {
            if (moment.IsGiven(parsed) || parsed.GetValue(expires) is not null || parsed.GetValue(reset))
                throw BranchWork.OnlyOfRemotes();
            to.Result(await BranchWork.OfDirectoryAsync(store, branch, cancellation), Results.Json.Branch,
                b => to.Line($"{b.Url} begins with LSN {b.Lsn.ToString(CultureInfo.InvariantCulture)} of {b.Parent}; "
                    + (b.IsCopy ? "it has everything itself." : "sealed files are shared.")));
            return ExitCode.Ok;
        }
        await using var parent = await RemoteAccess.OpenForWritingAsync(from, cancellation);
        var made = await BranchWork.MakeAsync(parent, branch, await moment.FindAsync(parsed, parent, cancellation),
            Expiry.Parse(parsed.GetValue(expires)), parsed.GetValue(reset), Progress.Begin, cancellation);
        if (made.IsCopy)
            to.Note($"{branch} is not in the place where {made.Parent} is: "
                + $"{Text.Bytes(made.ExtentBytes)} were copied.");
        to.Result(made, Results.Json.Branch, b =>
        {
            to.Line($"{b.Url} begins with LSN {b.Lsn.ToString(CultureInfo.InvariantCulture)} of {b.Parent} "
                + $"({Text.Time(b.Time!.Value)}).");
            to.Line($"It names {b.Extents} extents ({Text.Bytes(b.ExtentBytes)}); "
                + $"{Text.Bytes(b.WrittenBytes)} were written.");
        });
        return ExitCode.Ok;
    }
}
