using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.Bench;

/// <summary>
/// Random reads by key, each a transaction of its own: with everything cached, and just after opening.
/// </summary>
internal sealed class ReadCase : Case
{
    const string PageCache = "640M";

    public override IReadOnlyList<string> Names => ["read-hot", "read-first-touch"];

    public override void Run(Place place, Report report)
    {
        var rows = Table.RowsFor(place.Pick(400, 100));
        Table.Build(place.Ours, rows, PageCache);
        Table.Build(place.Stock, rows);
        Table.Warm(place.Stock);
        FirstTouch(place, report, rows);
        Hot(place, report, rows);
    }

    static void FirstTouch(Place place, Report report, int rows)
    {
        // Few against the pages there are, so that hardly any is read twice.
        var count = rows / 4 / 8;
        var (ours, stock) = Interleaved.Values(place, place.Rounds(7, 7), (side, round) =>
        {
            side.Settle();
            using var connection = side.Open(pageCache: PageCache);
            using var read = connection.Prepare("SELECT length(v) FROM t WHERE id=?");
            connection.Do("PRAGMA cache_size=-2000");
            read.Bind(1, 1).First();
            var started = System.Diagnostics.Stopwatch.GetTimestamp();
            Read(read, rows, count, round);
            return count / System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
        report.AddRate("read-first-touch", "reads/s", ours, stock, 0.5);
    }

    static void Hot(Place place, Report report, int rows)
    {
        place.Ours.Settle();
        using var ours = place.Ours.Open(pageCache: PageCache);
        using var stock = place.Stock.Open();
        foreach (var connection in (Connection[])[ours, stock])
        {
            connection.Do("PRAGMA cache_size=-2000");
            connection.Do("SELECT sum(length(v)) FROM t");
        }
        using var oursRead = ours.Prepare("SELECT length(v) FROM t WHERE id=?");
        using var stockRead = stock.Prepare("SELECT length(v) FROM t WHERE id=?");
        var count = place.Pick(200_000, 50_000);
        Read(oursRead, rows, count, 99);
        Read(stockRead, rows, count, 99);
        var (oursSeconds, stockSeconds) = Interleaved.Seconds(place, place.Rounds(11, 11),
            (side, round) => Read(side.IsOurs ? oursRead : stockRead, rows, count, round));
        report.AddRate("read-hot", "reads/s", count / oursSeconds, count / stockSeconds, 1.3);
    }

    static void Read(Statement read, int rows, int count, int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < count; i++)
            if (read.Bind(1, random.Next(rows) + 1).First() != Table.RowBytes)
                throw new InvalidOperationException("A row is wrong.");
    }
}
