using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// Requests of a store that nobody writes to, and of many databases that are each written once a second: beside one
/// that is, and beside one that is written as often as they are together.
/// </summary>
/// <remarks>One commit a second can get by with a request every two: the next falls just after a PUT, and waits a
/// second for one that takes it along.</remarks>
internal sealed class RemoteRequestsCase : Case
{
    public override IReadOnlyList<string> Names
        => ["remote-requests-idle", "remote-requests-many", "remote-requests-as-often"];

    public override void Run(Place place, Report report)
    {
        var seconds = place.Pick(30, 10);
        var many = new RemoteSide(place.Ours.PathOf("many"), RemoteServer.NewUrl());
        var one = new RemoteSide(place.Ours.PathOf("one"), RemoteServer.NewUrl());
        var connections = Enumerable.Range(0, place.Pick(1000, 200)).Select(i => Prepared(many, $"d{i}.db")).ToList();
        var single = Prepared(one, "a.db");
        connections[0].Do("PRAGMA recovery_sync");
        single.Do("PRAGMA recovery_sync");
        var manyRequests = Writing(connections, seconds);
        var oneRequests = Writing([single], seconds);
        var asOftenRequests = Writing(Enumerable.Repeat(single, connections.Count).ToList(), seconds);
        single.Do("PRAGMA recovery_sync");
        var before = RemoteSide.Requests(single);
        Pass(seconds);
        // One more on both sides, so that none against none is a ratio.
        report.AddCost("remote-requests-idle", $"requests in {seconds} s, plus one (stock: none)",
            RemoteSide.Requests(single) - before + 1, 1, 1.0);
        report.AddCost("remote-requests-many", $"requests in {seconds} s ({connections.Count} databases; stock: one)",
            manyRequests, oneRequests, 0.8);
        report.AddCost("remote-requests-as-often",
            $"requests in {seconds} s ({connections.Count} databases; stock: one, as many commits)", manyRequests,
            asOftenRequests, 0.9);
        foreach (var each in connections) each.Dispose();
        single.Dispose();
    }

    static Connection Prepared(RemoteSide side, string name)
    {
        var connection = side.Open(name, synchronous: "OFF");
        connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, at TEXT)");
        return connection;
    }

    static long Writing(List<Connection> connections, int seconds)
    {
        var before = RemoteSide.Requests(connections[0]);
        for (var second = 0; second < seconds; second++)
        {
            var started = Stopwatch.GetTimestamp();
            foreach (var each in connections) each.Do("INSERT INTO t(at) VALUES(datetime('now'))");
            var left = TimeSpan.FromSeconds(1) - Stopwatch.GetElapsedTime(started);
            // Once a second is the load that is measured.
            if (left > TimeSpan.Zero) Thread.Sleep(left);
        }
        return RemoteSide.Requests(connections[0]) - before;
    }

    /// <summary>The time over which an idle store's requests are counted.</summary>
    static void Pass(int seconds) => Thread.Sleep(TimeSpan.FromSeconds(seconds));
}
