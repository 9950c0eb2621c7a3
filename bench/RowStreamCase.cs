using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.Changes;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.PageStore.Tails;

namespace RecoveryVfs.Bench;

/// <summary>
/// A stream of rows from the remote of a writer that goes at full speed, one row a commit, in databases of several
/// sizes with tables beside it: whether a stream that begins when all is written comes through faster than it was
/// written, and what a commit costs it.
/// </summary>
internal sealed class RowStreamCase : Case
{
    const int RowBytes = 100, RowsOfMegabyte = 8_000, OtherTables = 20;
    const double ProcessorMicrosecondsMax = 100;

    public override IReadOnlyList<string> Names => ["rows-stream", "rows-stream-processor"];

    public override void Run(Place place, Report report)
    {
        Run(place, report, 1);
        Run(place, report, 100);
        if (!place.Quick) Run(place, report, 1000);
    }

    static void Run(Place place, Report report, int megabytes)
    {
        var commits = place.Pick(50_000, 20_000);
        var url = "file://" + place.Ours.PathOf($"bucket-{megabytes}");
        using var site = new FollowSite(place, url, "durability=async");
        ulong from;
        double written;
        using (var writer = site.Write($"writer-{megabytes}"))
        {
            Fill(writer, megabytes);
            writer.Do("PRAGMA recovery_sync=remote");
            from = (ulong)writer.Do("PRAGMA recovery_lsn");
            written = commits / Update(writer, megabytes * RowsOfMegabyte, commits);
            writer.Do("PRAGMA recovery_sync=remote");
        }
        var (seconds, processor) = Stream(site.Url, from, commits);
        report.AddRate($"rows-stream-{megabytes}-mb", "commits/s of a stream of rows, against the writer",
            commits / seconds, written, 1.0);
        report.AddLimited($"rows-stream-processor-{megabytes}-mb", "us of processor time a commit",
            processor * 1e6 / commits, ProcessorMicrosecondsMax);
    }

    /// <summary>Fills a database with rows, and gives it other tables.</summary>
    public static void Fill(Connection writer, int megabytes)
    {
        var text = new Text(1);
        writer.Do("PRAGMA synchronous=OFF");
        writer.Do("BEGIN");
        for (var i = 0; i < OtherTables; i++)
        {
            writer.Do($"CREATE TABLE other{i}(id INTEGER PRIMARY KEY, a, b)");
            writer.Do($"CREATE INDEX other{i}_a ON other{i}(a)");
            writer.Do($"INSERT INTO other{i} VALUES(1, 2, 3)");
        }
        writer.Do("CREATE INDEX t_at ON t(at)");
        using (var insert = writer.Prepare("INSERT INTO t(at, v) VALUES(1, ?)"))
            for (var i = 0; i < megabytes * RowsOfMegabyte; i++) insert.Bind(1, text.Take(RowBytes)).First();
        writer.Do("COMMIT");
    }

    /// <summary>Seconds for so many updates of rows at random, without waiting for the disk.</summary>
    static double Update(Connection writer, int rows, int commits)
    {
        var text = new Text(2);
        using var update = writer.Prepare("UPDATE t SET v = ?, at = at + 1 WHERE id = ?");
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < commits; i++) update.Bind(1, text.Take(RowBytes)).Bind(2, 1 + text.Next(rows)).First();
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    /// <summary>Seconds from the first change on, and of processor time.</summary>
    static (double Seconds, double Processor) Stream(string url, ulong from, int commits)
    {
        string[] arguments = ["--child", "rows", url, $"{from}", $"{commits}"];
        var start = new ProcessStartInfo(Environment.ProcessPath!, arguments) { RedirectStandardOutput = true };
        using var child = Process.Start(start)!;
        var answer = child.StandardOutput.ReadToEnd().Split(' ');
        child.WaitForExit();
        if (child.ExitCode != 0) throw new InvalidOperationException("The streaming process failed.");
        return (double.Parse(answer[0], CultureInfo.InvariantCulture),
            double.Parse(answer[1], CultureInfo.InvariantCulture));
    }

    /// <summary>The streaming process: takes the changes of so many commits as lines, and drops them.</summary>
    public static async Task<int> ReadAsync(string url, ulong after, int commits)
    {
        var tail = new RowTail(url, new RowTailOptions { From = TailStart.At(after + 1), Once = true });
        var format = new EventJson();
        var line = new ArrayBufferWriter<byte>();
        var (began, processor, seen) = (0L, TimeSpan.Zero, 0);
        await foreach (var change in tail.ReadAsync())
        {
            if (seen++ == 0) (began, processor) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            line.ResetWrittenCount();
            format.Write(change, line);
        }
        if (seen != commits) throw new InvalidOperationException($"{seen} changes came, not {commits}.");
        processor = Environment.CpuUsage.TotalTime - processor;
        Console.Write(string.Create(CultureInfo.InvariantCulture,
            $"{Stopwatch.GetElapsedTime(began).TotalSeconds} {processor.TotalSeconds}"));
        return 0;
    }
}
