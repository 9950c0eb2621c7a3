using System.CommandLine;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Prints the bookmark of a moment: of now, or of a time.</summary>
internal sealed class BookmarkCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<string?> time;

    public BookmarkCommand() : base("bookmark", "Print the bookmark of a moment, to come back to it later.")
    {
        target = Optional("URL|DIR", "A remote or a store (default: RECOVERY_REMOTE).");
        time = Taking<string?>("--time", "TIME",
            "The last commit by then: 14:03, 'yesterday 14:00', '10 minutes ago' (default: the newest).");
        About = """
            A bookmark names a moment of one store's log. `recovery rollback --to`, `recovery restore --bookmark`, and
            every command that takes a moment take it. SQL gives it, too: PRAGMA recovery_bookmark. A store's newest
            moment may not be in its remote yet.
            """;
        Examples = ["recovery bookmark /data", "recovery bookmark s3://bucket/app --time '10 minutes ago'"];
    }

    internal sealed record Report(string Bookmark, ulong Lsn, DateTimeOffset? Time);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var name = parsed.GetValue(target);
        DateTimeOffset? at = parsed.GetValue(time) is { } text ? TimeText.Parse(text) : null;
        var found = name is not null && !RemoteAccess.IsUrl(name)
            ? Local(StoreDirectory.Find(name), at)
            : null;
        if (found is null)
        {
            await using var remote = RemoteAccess.Open(name);
            await remote.StoreAsync(cancellation);
            found = await MomentSearch.AtAsync(remote, at ?? DateTimeOffset.MaxValue, cancellation);
        }
        var report = new Report(found.Bookmark.ToString(), found.Bookmark.Lsn, found.Time);
        to.Result(report, Results.Json.Bookmark, r => to.Line(r.Bookmark));
        return ExitCode.Ok;
    }

    /// <summary>
    /// What the local log tells: it has the newest, and reaches back some way. Null when it does not reach back so far,
    /// or another epoch began since.
    /// </summary>
    static FoundMoment? Local(StoreDirectory store, DateTimeOffset? at)
    {
        var most = at?.ToUnixTimeMilliseconds() ?? long.MaxValue;
        (ulong Lsn, long TimeMs)? last = null;
        var isSameEpoch = true;
        var (_, end) = store.ReadLog(_ => (last, isSameEpoch) = (null, true), (in Record record) =>
        {
            if (record.UnixTimeMs > most) isSameEpoch &= record.Kind != RecordKind.EpochBegan;
            else if (!record.Continues) (last, isSameEpoch) = ((record.Lsn, record.UnixTimeMs), true);
        });
        if (end is null || last is not { } found || !isSameEpoch)
            return at is null && end is not null
                ? new FoundMoment(Bookmark.Of(end.LogId, end.Epoch, end.LastLsn), DateTimeOffset.UtcNow)
                : null;
        return new FoundMoment(Bookmark.Of(end.LogId, end.Epoch, found.Lsn), TimeText.FromMs(found.TimeMs));
    }
}
