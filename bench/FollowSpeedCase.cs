using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// A writer at full speed: how late its commits are seen meanwhile, and whether a follower that was away applies faster
/// than they were made.
/// </summary>
internal sealed class FollowSpeedCase(bool s3) : Case
{
    // The interval at which the writer ships by default, and a second one.
    const double LagMsMax = 2000;

    public override IReadOnlyList<string> Names => ["follow-full-speed-p99", "follow-catch-up", "follow"];

    public override void Run(Place place, Report report)
    {
        using var site = new FollowSite(place, FollowSite.NewRemote(place, s3), "durability=async");
        using var writer = site.Write();
        writer.Do("PRAGMA recovery_sync=remote");
        writer.Do("PRAGMA synchronous=OFF");
        // Both begin here; the second one's process waits until the first has seen everything.
        FollowSite.Lags(site.StartReader("away", 0).Reader);
        var count = place.Pick(200_000, 50_000);
        var (reader, _) = site.StartReader("follower", count);
        using var insert = writer.Prepare("INSERT INTO t(at, v) VALUES(?, ?)");
        var text = new Text(4);
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++) insert.Bind(1, Stopwatch.GetTimestamp()).Bind(2, text.Take(100)).First();
        var written = count / Stopwatch.GetElapsedTime(began).TotalSeconds;
        writer.Do("PRAGMA recovery_sync=remote");
        report.AddLimited(Names[0], "ms, COMMIT to visible, writer at full speed",
            Interleaved.Percentile(FollowSite.Lags(reader), 0.99), LagMsMax);
        var (away, seconds) = site.StartReader("away", 0);
        FollowSite.Lags(away);
        report.AddRate(Names[1], "commits/s of a follower that was away, against the writer", count / seconds, written,
            1.0);
    }
}
