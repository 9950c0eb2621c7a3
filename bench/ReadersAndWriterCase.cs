using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>Four threads that read by key while one commits updates of one row each.</summary>
internal sealed class ReadersAndWriterCase : Case
{
    const int Readers = 4;

    public override IReadOnlyList<string> Names => ["readers-and-writer: reads", "readers-and-writer: commits"];

    public override void Run(Place place, Report report)
    {
        var rows = Table.RowsFor(place.Pick(100, 40));
        Table.Build(place.Ours, rows, "256M");
        Table.Build(place.Stock, rows);
        var duration = TimeSpan.FromSeconds(place.Pick(4, 1));
        var rounds = place.Rounds(7, 7);
        var commits = (Ours: new List<double>(), Stock: new List<double>());
        using var keepOpen = place.Ours.Open(pageCache: "256M");
        keepOpen.Do("SELECT sum(length(v)) FROM t");
        var reads = Interleaved.Values(place, rounds, (side, round) =>
        {
            var (readRate, commitRate) = Together(side, rows, duration, round);
            (side.IsOurs ? commits.Ours : commits.Stock).Add(commitRate);
            return readRate;
        });
        report.AddRate(Names[0], "reads/s", reads.Ours, reads.Stock, 1.0);
        report.AddRate(Names[1], "commits/s", Interleaved.Median([.. commits.Ours]),
            Interleaved.Median([.. commits.Stock]), 1.0);
    }

    static (double Reads, double Commits) Together(Side side, int rows, TimeSpan duration, int seed)
    {
        long reads = 0, commits = 0, over = 0;
        using var start = new Barrier(Readers + 2);
        var threads = Enumerable.Range(0, Readers + 1).Select(number => new Thread(() =>
        {
            var random = new Random(seed * 10 + number);
            var text = new Text(number, 1 << 18);
            using var connection = side.Open(pageCache: "256M");
            using var statement =
                connection.Prepare(number == 0 ? "UPDATE t SET v=? WHERE id=?" : "SELECT length(v) FROM t WHERE id=?");
            var done = 0L;
            start.SignalAndWait();
            for (; Volatile.Read(ref over) == 0; done++)
            {
                var row = random.Next(rows) + 1;
                if (number == 0) statement.Bind(1, text.Take(Table.RowBytes)).Bind(2, row).First();
                else statement.Bind(1, row).First();
            }
            Interlocked.Add(ref number == 0 ? ref commits : ref reads, done);
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        start.SignalAndWait();
        var started = Stopwatch.GetTimestamp();
        // The time over which the threads are counted.
        Thread.Sleep(duration);
        Volatile.Write(ref over, 1);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        foreach (var thread in threads) thread.Join();
        return (reads / seconds, commits / seconds);
    }
}
