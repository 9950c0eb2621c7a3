using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// What a replicator beside it costs an application that uses stock SQLite in WAL mode: alone, with ours, and with
/// litestream, in turns, to directories in memory. The replicators are processes of their own.
/// </summary>
internal sealed class ReplicateCase : Case
{
    public override IReadOnlyList<string> Names
        => ["replicate-commits", "replicate-commits: litestream", "replicate-p99", "replicate-p99: litestream",
            "replicate-processor", "replicate-500-processor", "replicate-memory"];

    /// <summary>
    /// Commits/s, the 99th percentile of a commit in microseconds, and of the replicator what it used of the processor,
    /// in microseconds a commit, and the most memory that it had, in MB.
    /// </summary>
    readonly record struct Measured(double Rate, double P99, double Processor, double Memory);

    const int Paced = 500;

    static Process Ours(string path) => ReplicatorProcess.Start(path, RemoteServer.NewDirectoryUrl());

    public override void Run(Place place, Report report)
    {
        var rounds = place.Rounds(7, 3);
        var count = place.Pick(40_000, 8_000);
        List<Measured> alone = [], ours = [], litestreams = [], oursPaced = [], litestreamsPaced = [];
        for (var round = 0; round < rounds; round++)
        {
            alone.Add(Measure(place, $"alone-{round}", count, static _ => null));
            ours.Add(Measure(place, $"ours-{round}", count, Ours));
            if (Litestream.Prepare(place.Stock.PathOf($"ls-{round}"), place.Stock.PathOf($"ls-{round}.db"), bucket: "")
                is { } litestream)
                litestreams.Add(Measure(place, $"ls-{round}", count, _ => litestream.Start()));
        }
        for (var round = 0; round < place.Rounds(3, 1); round++)
        {
            oursPaced.Add(Measure(place, $"ours-paced-{round}", place.Pick(15_000, 5_000), Ours, Paced));
            if (Litestream.Prepare(place.Stock.PathOf($"lsp-{round}"), place.Stock.PathOf($"lsp-{round}.db"),
                bucket: "") is { } litestream)
                litestreamsPaced.Add(Measure(place, $"lsp-{round}", place.Pick(15_000, 5_000),
                    _ => litestream.Start(), Paced));
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
        report.AddCost("replicate-500-processor", "us of processor a commit at 500/s (stock: litestream)",
            Median(oursPaced, m => m.Processor), Median(litestreamsPaced, m => m.Processor), 1.0 / 0.7);
        report.AddCost("replicate-memory", "MB at the most (stock: litestream)", Median(ours, m => m.Memory),
            Median(litestreams, m => m.Memory), null);
    }

    /// <param name="place">Where.</param>
    /// <param name="name">The database.</param>
    /// <param name="count">How many commits.</param>
    /// <param name="replicator">Starts it.</param>
    /// <param name="perSecond">How fast; 0 for as fast as it goes.</param>
    static Measured Measure(Place place, string name, int count, Func<string, Process?> replicator, int perSecond = 0)
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
            if (perSecond > 0 && TimeSpan.FromSeconds((i + 1.0) / perSecond) - Stopwatch.GetElapsedTime(started) is var
                left && left > TimeSpan.Zero) Thread.Sleep(left);
        }
        var rate = count / Stopwatch.GetElapsedTime(started).TotalSeconds;
        Array.Sort(took);
        process?.Refresh();
        var processor = (process?.TotalProcessorTime ?? default) - before;
        var memory = (process?.PeakWorkingSet64 ?? 0) / 1048576.0;
        ReplicatorProcess.End(process);
        return new(rate, took[count * 99 / 100], processor.TotalMicroseconds / count, memory);
    }
}
