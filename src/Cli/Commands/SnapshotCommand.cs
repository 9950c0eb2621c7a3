using RecoveryVfs.RecoveryLog.Remote.Pins;
using System.CommandLine;
using System.Globalization;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Names states that collection must keep.</summary>
internal sealed class SnapshotCommand : CliCommand
{
    readonly Argument<string[]> arguments;
    readonly Option<ulong?> lsn;
    readonly Option<string?> expires, note;
    readonly Option<bool> list, remove;

    public SnapshotCommand() : base("snapshot", "Name a state of a remote and keep it restorable beyond retention (a pin).")
    {
        arguments = With(new Argument<string[]>("NAME URL|DIR") { Description = "The snapshot's name (not with --list), and the remote or a store that has one (default: RECOVERY_REMOTE).", Arity = new ArgumentArity(0, 2) });
        lsn = With(new Option<ulong?>("--lsn") { HelpName = "N", Description = "The state to keep (default: the newest in the remote)." });
        expires = With(new Option<string?>("--expires") { HelpName = "TIME", Description = "Until when: 7d, 12h, '3 weeks', or a time, as 'tomorrow 14:00' (default: for good)." });
        note = With(new Option<string?>("--note") { HelpName = "TEXT", Description = "What it is for." });
        list = With(new Option<bool>("--list") { Description = "List the snapshots, and whatever else is pinned." });
        remove = With(new Option<bool>("--remove") { Description = "Remove the snapshot NAME; collection may then take its state." });
        About = "Copies nothing: the state's objects are kept from collection. Restore it with the LSN that is printed: recovery restore URL DIR --lsn N.";
        Examples =
        [
            "recovery snapshot before-migration s3://bucket/app --expires 30d",
            "recovery snapshot --list s3://bucket/app",
            "recovery snapshot --remove before-migration s3://bucket/app",
        ];
    }

    internal sealed record Entry(string Name, ulong Lsn, bool Onward, DateTimeOffset? Expires, string? Note);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var given = parsed.GetValue(arguments) ?? [];
        var isList = parsed.GetValue(list);
        if (isList && given.Length > 1 || !isList && given.Length == 0)
            throw new RecoveryException(RecoveryError.Invalid, isList ? "--list takes only the URL or DIR." : "Name the snapshot: recovery snapshot NAME URL.");
        var name = isList ? null : given[0];
        if (name is not null && !IsName(name))
            throw new RecoveryException(RecoveryError.Invalid, $"'{name}' cannot be a snapshot's name: use letters, digits, '.', '_', '~' and '-'.");
        await using var remote = RemoteAccess.Open(isList ? given.FirstOrDefault() : given.Length > 1 ? given[1] : null, readOnly: isList);
        await remote.StoreAsync(cancellation);
        if (isList)
        {
            var all = (await Pin.ListAsync(remote.Context, cancellation)).OrderBy(p => p.Value.Lsn).Select(p => ToEntry(p.Key, p.Value)).ToList();
            to.Result(all, Results.Json.Snapshots, pins => to.Table(["NAME", "LSN>", "KEEPS", "EXPIRES", "NOTE"], pins.Select(p => new[]
            {
                p.Name, p.Lsn.ToString(CultureInfo.InvariantCulture), p.Onward ? "from there on" : "this state", p.Expires is { } end ? Text.Time(end) : "never", p.Note ?? "",
            })));
            return ExitCode.Ok;
        }
        return parsed.GetValue(remove) ? await RemoveAsync(remote, name!, to, cancellation) : await PutAsync(parsed, remote, name!, to, cancellation);
    }

    static bool IsName(string name) =>
        name.Length is > 0 and <= 200 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '~' or '-') && name.Trim('.').Length > 0;

    static Entry ToEntry(string name, Pin pin) => new(name, pin.Lsn, pin.Onward, pin.Expires, pin.Note);

    static async Task<int> RemoveAsync(RemoteAccess remote, string name, Output to, CancellationToken cancellation)
    {
        if (!(await Pin.ListAsync(remote.Context, cancellation)).TryGetValue(name, out var pin))
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no snapshot {name} in {remote.Url}.") { Path = remote.Url };
        await Pin.RemoveAsync(remote.Context, name, cancellation);
        to.Result(ToEntry(name, pin), Results.Json.Snapshot, e => to.Line($"Removed the snapshot {e.Name} of LSN {e.Lsn}."));
        return ExitCode.Ok;
    }

    async Task<int> PutAsync(ParseResult parsed, RemoteAccess remote, string name, Output to, CancellationToken cancellation)
    {
        // Only what can be restored now can be kept so.
        var target = parsed.GetValue(lsn) is { } wanted ? RestoreTarget.At(wanted) : RestoreTarget.Newest;
        var plan = await RestorePlanner.PlanAsync(remote.Context, target, null, cancellation);
        var pin = Pin.At(target.Lsn ?? plan.End?.LastLsn ?? throw Damaged(remote), expires: Expiry(parsed.GetValue(expires)), note: parsed.GetValue(note));
        await Pin.PutAsync(remote.Context, name, pin, cancellation);
        to.Result(ToEntry(name, pin), Results.Json.Snapshot, e => to.Line($"The snapshot {e.Name} keeps LSN {e.Lsn} of {remote.Url} {(e.Expires is { } end ? "until " + Text.Time(end) : "for good")}."));
        return ExitCode.Ok;
    }

    static RecoveryException Damaged(RemoteAccess remote) =>
        new(RecoveryError.Corrupt,
            $"The newest segment of {remote.Url} is damaged, so its newest state cannot be kept.",
            "Give --lsn; `recovery verify` says what is damaged.") { Path = remote.Url };

    static DateTimeOffset? Expiry(string? text)
    {
        if (text is null) return null;
        var now = DateTimeOffset.UtcNow;
        // A length alone is one from now.
        var end = TimeText.TryParseDuration(text) is { } length ? now + length : TimeText.Parse(text);
        return end > now ? end : throw new RecoveryException(RecoveryError.Invalid, $"--expires {text} is over already.");
    }
}
