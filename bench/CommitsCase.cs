using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// Many connections, a thread each, that commit one row after another, durably: each in a database of its own (ours:
/// all in one store, stock: a file each), or all in one database, where they wait for each other in the busy handler.
/// </summary>
internal sealed class CommitsCase(int connections, bool oneDatabase, double? goal) : Case
{
    readonly string name = $"commits-{connections}-{(oneDatabase ? "connections" : "databases")}";

    public override IReadOnlyList<string> Names => [name];

    public override void Run(Place place, Report report)
    {
        using var ours = new Crowd(place.Ours, connections, oneDatabase);
        using var stock = new Crowd(place.Stock, connections, oneDatabase);
        var duration = TimeSpan.FromSeconds(place.Pick(2, 1));
        var rates = Interleaved.Values(place, place.Rounds(7, 5),
            (side, _) => (side.IsOurs ? ours : stock).CommitsPerSecond(duration));
        report.AddRate(name, "commits/s", rates.Ours, rates.Stock, goal);
    }

    /// <summary>The connections of one side, open from the first round to the last.</summary>
    sealed class Crowd : IDisposable
    {
        readonly Connection[] connections;
        readonly Statement[] inserts;

        public Crowd(Side side, int count, bool oneDatabase)
        {
            connections =
                [.. Enumerable.Range(0, count).Select(i => side.Open(name: oneDatabase ? "a.db" : $"a{i}.db"))];
            // Starving is slow, but no failure.
            foreach (var connection in connections) connection.Do("PRAGMA busy_timeout=1000000");
            foreach (var connection in connections)
                connection.Do("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)");
            inserts = [.. connections.Select(c => c.Prepare("INSERT INTO t(v) VALUES(?)"))];
        }

        public double CommitsPerSecond(TimeSpan duration)
        {
            var (commits, over) = (0L, 0);
            using var start = new Barrier(inserts.Length + 1);
            var threads = inserts.Select((insert, i) => new Thread(() =>
            {
                var (text, done) = (new Text(i, 64 << 10), 0L);
                start.SignalAndWait();
                for (; Volatile.Read(ref over) == 0; done++) insert.Bind(1, text.Take(100)).First();
                Interlocked.Add(ref commits, done);
            })).ToArray();
            foreach (var thread in threads) thread.Start();
            start.SignalAndWait();
            var started = Stopwatch.GetTimestamp();
            // The time over which the threads are counted.
            Thread.Sleep(duration);
            Volatile.Write(ref over, 1);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            // Who sleeps in the busy handler now may do so for a while.
            foreach (var thread in threads) thread.Join();
            return commits / seconds;
        }

        public void Dispose()
        {
            foreach (var insert in inserts) insert.Dispose();
            foreach (var connection in connections) connection.Dispose();
        }
    }
}
