using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Bench;

/// <summary>
/// Commits that wait for the remote: one connection against a bare PUT, and many connections that share PUTs.
/// </summary>
internal sealed class RemoteDurableCase : Case
{
    const int Many = 64;

    public override IReadOnlyList<string> Names
        => ["remote-durable-one", "remote-durable-64", "remote-restorable: p99"];

    public override void Run(Place place, Report report)
    {
        var side = new RemoteSide(place.Ours.Directory, RemoteServer.NewUrl());
        using (var first = Prepared(side, "d0.db"))
        {
            var count = place.Pick(2_000, 400);
            var (puts, commits) = Alternate(side.Url, first, count);
            var rate = 1000 / Interleaved.Median(commits);
            report.AddBounded("remote-durable-one", "ms (stock: a bare PUT)", Interleaved.Median(commits),
                Interleaved.Median(puts), 2);
            report.AddRate("remote-durable-64", "commits/s (64 connections; stock: one)",
                Together(side, place.Pick(20, 6)), rate, 20);
        }
        Restorable(place, report);
    }

    static Connection Prepared(RemoteSide side, string name)
    {
        var connection = side.Open(name, "&durability=remote");
        connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
        return connection;
    }

    static (double[] Puts, double[] Commits) Alternate(string url, Connection connection, int count)
    {
        var objects = RemoteUrl.Parse(url).Open();
        var (puts, commits) = (new double[count], new double[count]);
        using var insert = connection.Prepare("INSERT INTO t(v) VALUES(?)");
        var (text, bytes) = (new Text(9), new byte[300]);
        for (var i = -20; i < count; i++)
        {
            var at = Math.Max(i, 0);
            var started = Stopwatch.GetTimestamp();
            objects.CreateAsync($"bare/{i + 20}", bytes).AsTask().GetAwaiter().GetResult();
            puts[at] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            started = Stopwatch.GetTimestamp();
            insert.Bind(1, text.Take(100)).First();
            commits[at] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }
        objects.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return (puts, commits);
    }

    static double Together(RemoteSide side, int seconds)
    {
        var connections = Enumerable.Range(1, Many).Select(i => Prepared(side, $"d{i}.db")).ToList();
        var commits = 0L;
        var started = Stopwatch.GetTimestamp();
        var threads = connections.Select((connection, i) => new Thread(() =>
        {
            using var insert = connection.Prepare("INSERT INTO t(v) VALUES(?)");
            var text = new Text(i, 64 << 10);
            while (Stopwatch.GetElapsedTime(started).TotalSeconds < seconds)
            {
                insert.Bind(1, text.Take(100)).First();
                Interlocked.Increment(ref commits);
            }
        })).ToList();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        var rate = commits / Stopwatch.GetElapsedTime(started).TotalSeconds;
        foreach (var connection in connections) connection.Dispose();
        return rate;
    }

    /// <summary>With the default interval: how long after its COMMIT a commit is in the remote.</summary>
    static void Restorable(Place place, Report report)
    {
        var side = new RemoteSide(place.Ours.PathOf("interval"), RemoteServer.NewUrl());
        using var connection = side.Open();
        connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY)");
        connection.Do("PRAGMA recovery_sync");
        var random = new Random(1);
        var waits = Enumerable.Range(0, place.Pick(100, 15)).Select(_ =>
        {
            // At any moment of the shipper's interval.
            Thread.Sleep(random.Next(400));
            connection.Do("INSERT INTO t DEFAULT VALUES");
            var started = Stopwatch.GetTimestamp();
            connection.Do("PRAGMA recovery_sync");
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }).ToArray();
        report.AddCost("remote-restorable: p99", "s after COMMIT (stock: the goal)",
            Interleaved.Percentile(waits, 0.99), 1.2, 1.0);
    }
}
