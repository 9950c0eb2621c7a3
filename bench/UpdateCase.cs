using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// Updates of one row each all over a large database, for long enough to see flushes and compactions.
/// </summary>
internal sealed class UpdateCase : Case
{
    public override IReadOnlyList<string> Names => ["update-random", "update-random: p99"];

    public override void Run(Place place, Report report)
    {
        var rows = Table.RowsFor(place.Pick(1024, 100));
        Table.Build(place.Ours, rows);
        Table.Build(place.Stock, rows);
        Table.Warm(place.Stock);
        using var ours = place.Ours.Open();
        using var stock = place.Stock.Open();
        using var oursUpdate = ours.Prepare("UPDATE t SET v=? WHERE id=?");
        using var stockUpdate = stock.Prepare("UPDATE t SET v=? WHERE id=?");
        var text = new Text(3);
        var random = new Random(3);
        var count = place.Pick(10_000, 4_000);
        var latencies = (Ours: new List<double>(), Stock: new List<double>());

        void Update(Side side, int number, List<double>? latency)
        {
            var update = side.IsOurs ? oursUpdate : stockUpdate;
            for (var i = 0; i < number; i++)
            {
                var started = Stopwatch.GetTimestamp();
                update.Bind(1, text.Take(Table.RowBytes)).Bind(2, random.Next(rows) + 1).First();
                latency?.Add(Stopwatch.GetElapsedTime(started).TotalMicroseconds);
            }
        }

        Interleaved.Seconds(place, 1, (side, _) => Update(side, count / 2, null));
        var (oursSeconds, stockSeconds) = Interleaved.Seconds(place, place.Rounds(11, 7),
            (side, _) => Update(side, count, side.IsOurs ? latencies.Ours : latencies.Stock));
        report.AddRate("update-random", "commits/s", count / oursSeconds, count / stockSeconds, 1.0);
        report.AddCost("update-random: p99", "us", Interleaved.Percentile([.. latencies.Ours], 0.99),
            Interleaved.Percentile([.. latencies.Stock], 0.99), null);
    }
}
