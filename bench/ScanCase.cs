namespace RecoveryVfs.Bench;

/// <summary>
/// A full scan of a table, twice, after opening: first from the page store, then from the page cache when that holds
/// it.
/// </summary>
internal sealed class ScanCase : Case
{
    public override IReadOnlyList<string> Names => ["scan", "scan-first", "scan-64M-cache"];

    public override void Run(Place place, Report report)
    {
        var megabytes = place.Pick(400, 100);
        var rows = Table.RowsFor(megabytes);
        Table.Build(place.Ours, rows);
        Table.Build(place.Stock, rows);
        Table.Warm(place.Stock);
        var bytes = place.Stock.DiskBytes() / 1e6;
        var first = Measure(place, rows, 1, "640M");
        var twice = Measure(place, rows, 2, "640M");
        var small = Measure(place, rows, 2, place.Quick ? "16M" : "64M");
        report.AddRate("scan", "MB/s", 2 * bytes / twice.Ours, 2 * bytes / twice.Stock, 1.0);
        report.AddRate("scan-first", "MB/s", bytes / first.Ours, bytes / first.Stock, null);
        report.AddRate("scan-64M-cache", "MB/s", 2 * bytes / small.Ours, 2 * bytes / small.Stock, null);
    }

    static (double Ours, double Stock) Measure(Place place, int rows, int times, string pageCache) =>
        Interleaved.Values(place, place.Rounds(5, 7), (side, _) =>
        {
            side.Settle();
            using var connection = side.Open(pageCache: pageCache);
            connection.Do("PRAGMA cache_size=-2000");
            using var scan = connection.Prepare("SELECT sum(length(v)) FROM t");
            var started = System.Diagnostics.Stopwatch.GetTimestamp();
            for (var i = 0; i < times; i++)
                if (scan.First() != (long)rows * Table.RowBytes) throw new InvalidOperationException("A row is wrong.");
            return System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
}
