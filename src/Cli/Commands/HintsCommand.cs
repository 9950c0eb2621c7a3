using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Lists a remote's hints: where restores can start.</summary>
internal sealed class HintsCommand : CliCommand
{
    readonly Argument<string?> target;

    public HintsCommand() : base("hints", "List a remote's hints: the states from which restores start.")
    {
        target = WithPlace();
        About = "Every commit from the oldest hints on can be restored. LOG AFTER is what a restore of the newest "
            + "state would replay from these hints.";
        Examples = ["recovery hints s3://bucket/app"];
    }

    internal sealed record Entry(ulong Lsn, DateTimeOffset Time, DateTimeOffset Published, ulong ReplayFrom,
        ulong Epoch, int Databases, int Extents, long ExtentBytes,
        long SizeBytes, long LogAfterBytes, string Name);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(parsed.GetValue(target));
        await remote.StoreAsync(cancellation);
        var segments = await remote.ListSegmentsAsync(cancellation);
        var found = new List<Entry>();
        foreach (var (lsn, entry) in await remote.ListHintsAsync(cancellation))
        {
            if (await remote.FetchHintsAsync(entry.Name, cancellation) is not { } hints) continue;
            found.Add(new Entry(lsn, Text.FromMs(hints.Header.TimeMs), entry.Modified, hints.Header.ReplayFrom,
                hints.Header.Epoch,
                hints.Hints.Databases.Count, hints.Extents.Count, hints.Extents.Values.Sum(e => e.SizeBytes),
                    entry.SizeBytes,
                segments.Where(s => s.FirstLsn >= hints.Header.Start.NextLsn).Sum(s => s.Object.SizeBytes),
                    entry.Name));
        }
        to.Result(found, Results.Json.Hints,
            all => to.Table(["LSN>", "TIME", "PUBLISHED", "EPOCH>", "DATABASES>", "EXTENTS>", "BYTES>", "LOG AFTER>"],
            all.Select(h => new[]
        {
            h.Lsn.ToString(CultureInfo.InvariantCulture), Text.Time(h.Time), Text.Time(h.Published),
                h.Epoch.ToString(CultureInfo.InvariantCulture),
            h.Databases.ToString(CultureInfo.InvariantCulture), h.Extents.ToString(CultureInfo.InvariantCulture),
                Text.Bytes(h.ExtentBytes + h.SizeBytes), Text.Bytes(h.LogAfterBytes),
        })));
        return ExitCode.Ok;
    }
}
