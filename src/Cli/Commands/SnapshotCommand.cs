using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Names states that collection must keep.</summary>
internal sealed class SnapshotCommand : CliCommand
{
    readonly Argument<string[]> arguments;
    readonly MomentOptions moment;
    readonly Option<string?> output, database, pages;
    readonly Option<string[]> since;
    readonly Option<string?> expires, note;
    readonly Option<bool> list, remove;

    const string Teaching = """
        With a NAME nothing is copied: the state's objects are kept from collection. Restore it by its name:
        recovery restore URL DIR --snapshot NAME.

        recovery snapshot create URL|DIR -o FILE writes a state into one file that has all it needs, in memory that
        does not depend on its size; - is standard output. --since makes it an increment, which names the snapshot
        that it goes on from. With --database it has one database, and with --pages some of its pages: of a directory
        as it is now, of a URL by fetching no more than that; files of the same moment (--lsn) make one database again.
        recovery snapshot restore FILE.. DIR brings a store back, with -o one database as a
        plain file; FILE - is standard input. recovery snapshot verify FILE.. restores it aside and compares every
        page. Everything is verified before anything is written.
        """;

    public SnapshotCommand()
        : base("snapshot", "Name a state of a remote and keep it restorable beyond retention (a pin).")
    {
        arguments = With(
            new Argument<string[]>("NAME URL|DIR")
            {
                Description =
                    "The snapshot's name (not with --list), and the remote or a store that has one (default: "
                        + "RECOVERY_REMOTE).",
                Arity = new ArgumentArity(0, 1000)
            });
        moment = new MomentOptions(this);
        output = Taking<string?>("--output", "FILE",
            "create: the file to write, or - for standard output. restore: a plain SQLite file.", "-o");
        since = Taking<string[]>("--since", "FILE",
            "create: write what this snapshot lacks; give it for each that goes on from another.");
        database = WithDatabase("create: only this database. restore -o: which one (needed when there are several).");
        pages = Taking<string?>("--pages", "A..B",
            "create: only these pages of the database, counted from 1: 1..100000, 100001..");
        expires = Taking<string?>("--expires", "TIME",
            "Until when: 7d, 12h, '3 weeks', or a time, as 'tomorrow 14:00' (default: for good).");
        note = Taking<string?>("--note", "TEXT", "What it is for.");
        list = Flag("--list", "List the snapshots, and whatever else is pinned.");
        remove = Flag("--remove", "Remove the snapshot NAME; collection may then take its state.");
        About = Teaching;
        Examples =
        [
            "recovery snapshot before-migration s3://bucket/app --expires 30d",
            "recovery snapshot --list s3://bucket/app",
            "recovery snapshot --remove before-migration s3://bucket/app",
            "recovery snapshot create /data -o monday.snapshot",
            "recovery snapshot create /data -o tuesday.snapshot --since monday.snapshot",
            "recovery snapshot create s3://bucket/app -o - | ssh host recovery snapshot restore - /data",
            "recovery snapshot restore monday.snapshot tuesday.snapshot /data",
            "recovery snapshot create s3://bucket/app --lsn 4711 --database a.db --pages 1..100000 -o first",
            "recovery snapshot restore first second -o a.db",
        ];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var given = parsed.GetValue(arguments) ?? [];
        var isList = parsed.GetValue(list);
        if (!isList && !parsed.GetValue(remove) && given is [var word, .. var rest]
            && SnapshotFileActions.Words.Contains(word))
            return await WithFilesAsync(parsed, word, rest, to, cancellation);
        if (parsed.GetValue(output) is not null || parsed.GetValue(database) is not null
            || parsed.GetValue(since) is { Length: > 0 })
            throw new RecoveryException(RecoveryError.Invalid,
                "-o, --since and --database are of snapshots in files"
                    + $"{(given is [var named, ..] ? $", and '{named}' is not create, restore or verify" : "")}."
                    + Suggestions.For(given.FirstOrDefault() ?? "", SnapshotFileActions.Words),
                "Write `recovery snapshot create URL -o FILE`.");
        if (given.Length > 2)
            throw new RecoveryException(RecoveryError.Invalid,
                "One name, and the URL or DIR: recovery snapshot NAME URL.");
        if (isList && given.Length > 1 || !isList && given.Length == 0)
            throw new RecoveryException(RecoveryError.Invalid,
                isList ? "--list takes only the URL or DIR." : "Name the snapshot: recovery snapshot NAME URL.");
        var name = isList ? null : given[0];
        if (name is not null) Snapshots.CheckName(name);
        await using var remote = isList
            ? RemoteAccess.Open(given.FirstOrDefault())
            : await RemoteAccess.OpenForWritingAsync(given.Length > 1 ? given[1] : null, cancellation);
        await remote.StoreAsync(cancellation);
        if (isList)
        {
            var all = await Snapshots.ListAsync(remote, cancellation);
            to.Result(all, Results.Json.Snapshots,
                pins => to.Table(["NAME", "LSN>", "KEEPS", "EXPIRES", "NOTE"], pins.Select(p => new[]
            {
                p.Name, p.Lsn.ToString(CultureInfo.InvariantCulture), p.Onward
                    ? "from there on" : "this state", p.Expires is { } end ? Text.Time(end) : "never", p.Note ?? "",
            })));
            return ExitCode.Ok;
        }
        return parsed.GetValue(remove)
            ? await RemoveAsync(remote, name!, to, cancellation)
            : await PutAsync(parsed, remote, name!, to, cancellation);
    }

    async Task<int> WithFilesAsync(ParseResult parsed, string word, string[] rest, Output to,
        CancellationToken cancellation)
    {
        var actions = new SnapshotFileActions(to, cancellation);
        var file = parsed.GetValue(output);
        if (word == "create" && rest.Length > 1)
            throw new RecoveryException(RecoveryError.Invalid, "One URL or DIR: recovery snapshot create URL -o FILE.");
        if (word == "create" && (parsed.GetValue(database) ?? parsed.GetValue(pages)) is not null)
        {
            if (parsed.GetValue(since) is { Length: > 0 })
                throw new RecoveryException(RecoveryError.Invalid,
                    "--since goes with whole stores, and not with --database or --pages.");
            await actions.CreateOfDatabaseAsync(rest.FirstOrDefault(), file, parsed.GetValue(database),
                parsed.GetValue(pages), moment.IsGiven(parsed),
                remote => moment.FindAsync(parsed, remote, cancellation));
        }
        else if (word == "create")
            await actions.CreateAsync(rest.FirstOrDefault(), file, parsed.GetValue(since) ?? [],
                remote => moment.FindAsync(parsed, remote, cancellation));
        else if (word == "restore") await actions.RestoreAsync(rest, file, parsed.GetValue(database));
        else await actions.VerifyAsync(rest);
        return ExitCode.Ok;
    }

    static async Task<int> RemoveAsync(RemoteAccess remote, string name, Output to, CancellationToken cancellation)
    {
        var removed = await Snapshots.RemoveAsync(remote, name, cancellation);
        to.Result(removed, Results.Json.Snapshot, e => to.Line($"Removed the snapshot {e.Name} of LSN {e.Lsn}."));
        return ExitCode.Ok;
    }

    async Task<int> PutAsync(ParseResult parsed, RemoteAccess remote, string name, Output to,
        CancellationToken cancellation)
    {
        var options = new SnapshotOptions
        {
            Lsn = (await moment.FindAsync(parsed, remote, cancellation)) switch
            {
                { Lsn: { } lsn } => lsn,
                { TimeMs: { } time } => (await MomentSearch.AtAsync(remote, Text.FromMs(time), cancellation))
                    .Bookmark.Lsn,
                _ => null,
            },
            Expires = Expiry.Parse(parsed.GetValue(expires)),
            Note = parsed.GetValue(note),
        };
        var put = await Snapshots.PutAsync(remote, name, options, cancellation);
        to.Result(put, Results.Json.Snapshot, e => to.Line(
            $"The snapshot {e.Name} keeps LSN {e.Lsn} of {remote.Url} "
                + $"{(e.Expires is { } end ? "until " + Text.Time(end) : "for good")}."));
        return ExitCode.Ok;
    }
}
