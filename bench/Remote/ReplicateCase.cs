using System.Diagnostics;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Bench;

/// <summary>
/// What a replicator beside it costs an application that uses stock SQLite in WAL mode: alone, with ours, and with
/// litestream, in turns, to directories in memory. The replicators are processes of their own.
/// </summary>
internal sealed class ReplicateCase : Case
{
    public override IReadOnlyList<string> Names
        => ["replicate-commits", "replicate-commits: litestream", "replicate-p99", "replicate-p99: litestream",
            "replicate-processor"];

    /// <summary>
    /// Commits/s, the 99th percentile of a commit in microseconds, and what the replicator used of the processor, in
    /// microseconds a commit.
    /// </summary>
    readonly record struct Measured(double Rate, double P99, double Processor);

    public override void Run(Place place, Report report)
    {
        var rounds = place.Rounds(7, 3);
        var count = place.Pick(40_000, 8_000);
        List<Measured> alone = [], ours = [], litestreams = [];
        for (var round = 0; round < rounds; round++)
        {
            alone.Add(Measure(place, $"alone-{round}", count, static _ => null));
            ours.Add(Measure(place, $"ours-{round}", count, Ours));
            if (Litestream.Prepare(place.Stock.PathOf($"ls-{round}"), place.Stock.PathOf($"ls-{round}.db"), bucket: "")
                is { } litestream)
                litestreams.Add(Measure(place, $"ls-{round}", count, _ => litestream.Start()));
        }
        static double Median(List<Measured> all, Func<Measured, double> of) => Interleaved.Median([.. all.Select(of)]);
        report.AddRate("replicate-commits", "commits/s (stock: without a replicator)", Median(ours, m => m.Rate),
            Median(alone, m => m.Rate), 0.95);
        report.AddCost("replicate-p99", "us (stock: without a replicator)", Median(ours, m => m.P99),
            Median(alone, m => m.P99), null);
        if (litestreams.Count == 0) return;
        report.AddRate("replicate-commits: litestream", "commits/s (stock: with litestream)", Median(ours, m => m.Rate),
            Median(litestreams, m => m.Rate), 1.0);
        report.AddCost("replicate-p99: litestream", "us (stock: with litestream)", Median(ours, m => m.P99),
            Median(litestreams, m => m.P99), 1.0);
        report.AddCost("replicate-processor", "us of processor a commit (stock: litestream)",
            Median(ours, m => m.Processor), Median(litestreams, m => m.Processor), 1.0 / 0.7);
    }

    static Measured Measure(Place place, string name, int count, Func<string, Process?> replicator)
    {
        var path = place.Stock.PathOf(name + ".db");
        using var connection = new Connection($"file:{path}?vfs=unix");
        connection.Do("PRAGMA journal_mode=WAL");
        connection.Do("PRAGMA synchronous=NORMAL");
        connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
        using var insert = connection.Prepare("INSERT INTO t(v) VALUES(?)");
        using var process = replicator(path);
        var (text, took) = (new Text(1), new double[count]);
        for (var i = 0; i < count / 10; i++) insert.Bind(1, text.Take(100)).First();
        var before = process?.TotalProcessorTime ?? default;
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++)
        {
            var from = Stopwatch.GetTimestamp();
            insert.Bind(1, text.Take(100)).First();
            took[i] = Stopwatch.GetElapsedTime(from).TotalMicroseconds;
        }
        var rate = count / Stopwatch.GetElapsedTime(started).TotalSeconds;
        Array.Sort(took);
        process?.Refresh();
        var processor = (process?.TotalProcessorTime ?? default) - before;
        End(process);
        return new(rate, took[count * 99 / 100], processor.TotalMicroseconds / count);
    }

    static void End(Process? process)
    {
        if (process is null) return;
        using (var kill = Process.Start("kill", ["-INT", $"{process.Id}"])) kill.WaitForExit();
        process.WaitForExit();
    }

    static Process Ours(string path)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(ReplicateCase).Assembly.Location);
        foreach (var each in (string[])["--child", "replicate", path, RemoteServer.NewDirectoryUrl()])
            start.ArgumentList.Add(each);
        var process = Process.Start(start)!;
        process.StandardOutput.ReadLine();
        return process;
    }

    /// <summary>The replicator, until it is told to end.</summary>
    public static int Replicate(string path, string url)
    {
        using var ended = new ManualResetEventSlim();
        using var signal =
            System.Runtime.InteropServices.PosixSignalRegistration.Create(
            System.Runtime.InteropServices.PosixSignal.SIGINT, context =>
        {
            context.Cancel = true;
            ended.Set();
        });
        SQLitePCL.Batteries_V2.Init();
        var replicator = SqliteReplicator.StartAsync(path, url).GetAwaiter().GetResult();
        Console.WriteLine("replicating");
        ended.Wait();
        replicator.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return 0;
    }
}
