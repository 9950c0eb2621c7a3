using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.Changes;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.PageStore.Tails;

namespace RecoveryVfs.Bench;

/// <summary>
/// From the beginning of a COMMIT of one row, in a large database that waits for its remote, to its line in another
/// process; against a follower of pages that looks for the row in the same way.
/// </summary>
internal sealed class RowLagCase : Case
{
    const double AllowanceMs = 5;

    public override IReadOnlyList<string> Names => ["rows-lag-p99"];

    public override void Run(Place place, Report report)
    {
        using var site = new FollowSite(place, FollowSite.NewRemote(place, s3: true),
            "durability=remote&sync-interval=5");
        using var writer = site.Write();
        RowStreamCase.Fill(writer, place.Pick(1000, 20));
        writer.Do("PRAGMA synchronous=FULL");
        writer.Do("PRAGMA recovery_sync=remote");
        var count = place.Pick(600, 100);
        var last = (int)writer.Do("SELECT max(id) FROM t") + count;
        var (pages, _) = site.StartReader("follower", last);
        using var rows = StartTail(site.Url, count);
        using var insert = writer.Prepare("INSERT INTO t(at, v) VALUES(?, ?)");
        var text = new Text(3);
        for (var i = 0; i < count; i++)
        {
            Thread.Sleep(text.Next(100)); // Commits come singly, at any moment of a reader's pause between two looks.
            insert.Bind(1, Stopwatch.GetTimestamp()).Bind(2, text.Take(100)).First();
        }
        var (ofRows, ofPages) = (FollowSite.Lags(rows), FollowSite.Lags(pages));
        report.AddBounded(Names[0], "ms, COMMIT to a line; stock: to a row of a follower",
            Interleaved.Percentile(ofRows, 0.99), Interleaved.Percentile(ofPages, 0.99), AllowanceMs);
    }

    static Process StartTail(string url, int count)
    {
        string[] arguments = ["--child", "rows-lag", url, $"{count}"];
        var tail = Process.Start(
            new ProcessStartInfo(Environment.ProcessPath!, arguments) { RedirectStandardOutput = true })!;
        return tail.StandardOutput.ReadLine() == "ready" ? tail
            : throw new InvalidOperationException("The streaming process failed.");
    }

    /// <summary>The streaming process: how late the lines of so many new rows are, in milliseconds.</summary>
    public static async Task<int> ReadAsync(string url, int count)
    {
        var tail = new RowTail(url,
            new RowTailOptions { From = TailStart.Now, Tables = "t", Interval = TimeSpan.FromMilliseconds(1) })
        {
            Began = _ =>
            {
                Console.WriteLine("ready");
                return ValueTask.CompletedTask;
            }
        };
        var format = new EventJson();
        var line = new System.Buffers.ArrayBufferWriter<byte>();
        var lags = new List<double>();
        await foreach (var change in tail.ReadAsync())
        {
            line.ResetWrittenCount();
            format.Write(change, line);
            lags.Add(Stopwatch.GetElapsedTime(change.After!["at"].Integer).TotalMilliseconds);
            if (lags.Count == count) break;
        }
        foreach (var lag in lags) Console.WriteLine(lag.ToString(CultureInfo.InvariantCulture));
        return 0;
    }
}
