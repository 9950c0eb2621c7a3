using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>From the beginning of a COMMIT to a row that another process reads from its follower.</summary>
internal sealed class FollowLagCase(string name, bool s3, string options, int medianMax, int p99Max) : Case
{
    public override IReadOnlyList<string> Names => [$"follow-{name}-p50", $"follow-{name}-p99", "follow"];

    public override void Run(Place place, Report report)
    {
        using var site = new FollowSite(place, FollowSite.NewRemote(place, s3), options);
        using var writer = site.Write();
        writer.Do("PRAGMA recovery_sync=remote");
        var count = place.Pick(600, 200);
        var (reader, _) = site.StartReader("follower", count);
        using var insert = writer.Prepare("INSERT INTO t(at, v) VALUES(?, ?)");
        var text = new Text(3);
        for (var i = 0; i < count; i++)
        {
            // Commits come singly and at any moment of a follower's pause between two looks.
            Thread.Sleep(text.Next(100));
            insert.Bind(1, Stopwatch.GetTimestamp()).Bind(2, text.Take(100)).First();
        }
        var lags = FollowSite.Lags(reader);
        if (medianMax > 0) report.AddLimited(Names[0], "ms, COMMIT to visible", Interleaved.Median(lags), medianMax);
        report.AddLimited(Names[1], "ms, COMMIT to visible", Interleaved.Percentile(lags, 0.99), p99Max);
    }
}
