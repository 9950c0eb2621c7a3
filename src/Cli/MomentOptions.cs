using System.CommandLine;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli;

/// <summary>The options by which a moment of a remote is named: one of them, or none.</summary>
internal sealed class MomentOptions
{
    readonly Option<ulong?> lsn = new("--lsn")
    {
        HelpName = "N",
        Description = "After the commit with this LSN (see `recovery log --commits`)."
    };

    readonly Option<string?> timestamp = new("--timestamp")
    {
        HelpName = "TIME",
        Description = "At a time: 2026-01-31T15:04:05Z, '2026-01-31 15:04' or 14:03 (local), 'yesterday 14:00', -5m, "
            + "'10 minutes ago'."
    };

    readonly Option<string?> bookmark = new("--bookmark")
    {
        HelpName = "B",
        Description = "At a bookmark (see `recovery bookmark`)."
    };

    readonly Option<string?> snapshot = new("--snapshot")
    {
        HelpName = "NAME",
        Description = "The state that a snapshot keeps (see `recovery snapshot --list`)."
    };

    /// <summary>Gives them to a command.</summary>
    public MomentOptions(Command command)
    {
        foreach (var option in (Option[])[lsn, timestamp, bookmark, snapshot]) command.Options.Add(option);
    }

    /// <summary>Whether one is given. Throws Invalid for more than one.</summary>
    public bool IsGiven(ParseResult parsed)
    {
        var given = new object?[]
        {
            parsed.GetValue(lsn), parsed.GetValue(timestamp), parsed.GetValue(bookmark), parsed.GetValue(snapshot)
        }.Count(v => v is not null);
        return given <= 1 ? given == 1
            : throw new RecoveryException(RecoveryError.Invalid,
                "--lsn, --timestamp, --bookmark and --snapshot each name a state: give one of them.");
    }

    /// <summary>The moment that is named; the newest when none is.</summary>
    public async Task<RestoreTarget> FindAsync(ParseResult parsed, RemoteAccess remote,
        CancellationToken cancellation) => FindAlone(parsed)
            ?? RestoreTarget.At((await Snapshots.FindAsync(remote, parsed.GetValue(snapshot)!, cancellation)).Lsn);

    /// <summary>The moment that is named, where no remote is needed to know it: null for a snapshot.</summary>
    public RestoreTarget? FindAlone(ParseResult parsed)
    {
        if (!IsGiven(parsed)) return RestoreTarget.Newest;
        if (parsed.GetValue(lsn) is { } l) return RestoreTarget.At(l);
        if (parsed.GetValue(timestamp) is { } t) return RestoreTarget.At(TimeText.Parse(t));
        return parsed.GetValue(bookmark) is { } b ? RestoreTarget.At(Bookmark.Parse(b)) : null;
    }
}
