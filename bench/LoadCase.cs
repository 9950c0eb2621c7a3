namespace RecoveryVfs.Bench;

/// <summary>Many rows in one transaction, into a table with an index that is hit all over.</summary>
internal sealed class LoadCase : Case
{
    public override IReadOnlyList<string> Names => ["load"];

    public override void Run(Place place, Report report)
    {
        var rows = place.Pick(1_000_000, 200_000);
        var (ours, stock) = Interleaved.Seconds(place, place.Rounds(5, 5), (side, round) =>
        {
            var text = new Text(2);
            using var connection = side.Open(name: $"load{round}.db");
            connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, v TEXT)");
            connection.Do("CREATE INDEX i ON t(k)");
            using var insert = connection.Prepare("INSERT INTO t(k, v) VALUES(?,?)");
            connection.Do("BEGIN");
            for (var i = 0; i < rows; i++) insert.Bind(1, text.Next(int.MaxValue)).Bind(2, text.Take(100)).First();
            connection.Do("COMMIT");
        });
        report.AddRate("load", "rows/s", rows / ours, rows / stock, 1.0);
    }
}
