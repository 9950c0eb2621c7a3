using System.Text;

namespace RecoveryVfs.Bench;

/// <summary>
/// The disk that a database of people's records takes: everything under the directory, closed cleanly.
/// </summary>
internal sealed class SizeCase : Case
{
    public override IReadOnlyList<string> Names => ["size", "size: pages only"];

    public override void Run(Place place, Report report)
    {
        var rows = place.Pick(1_500_000, 200_000);
        foreach (var side in (Side[])[place.Ours, place.Stock])
        {
            Build(side, rows);
            side.Settle();
        }
        var stock = place.Stock.DiskBytes() / 1e6;
        report.AddCost("size", "MB", place.Ours.DiskBytes() / 1e6, stock, 1.6);
        report.AddCost("size: pages only", "MB",
            place.Ours.DiskBytes(p => p.Contains("/pages/", StringComparison.Ordinal)) / 1e6, stock, null);
    }

    static void Build(Side side, int rows)
    {
        var text = new Text(4);
        using var connection = side.Open("OFF");
        connection.Do(
            "CREATE TABLE person(id INTEGER PRIMARY KEY, created TEXT, email TEXT, status TEXT, attributes TEXT, "
                + "notes TEXT)");
        using var insert =
            connection.Prepare("INSERT INTO person(created, email, status, attributes, notes) VALUES(?,?,?,?,?)");
        string[] status = ["active", "inactive", "pending", "blocked"];
        for (var row = 0; row < rows;)
        {
            connection.Do("BEGIN");
            for (var i = 0; i < 50_000 && row < rows; i++, row++)
            {
                var created =
                    $"2024-{1 + text.Next(12):00}-{1 + text.Next(28):00}T{text.Next(24):00}:{text.Next(60):00}"
                        + $":{text.Next(60):00}.000Z";
                insert.Bind(1, Encoding.UTF8.GetBytes(created));
                insert.Bind(2, Encoding.UTF8.GetBytes($"user{text.Next(10_000_000)}@example{text.Next(50)}.com"));
                insert.Bind(3, Encoding.UTF8.GetBytes(status[text.Next(4)]));
                insert.Bind(4,
                    Encoding.UTF8.GetBytes(
                    $"{{\"language\":\"en\",\"visits\":{text.Next(1000)}"
                        + $",\"newsletter\":{(text.Next(2) == 0 ? "true" : "false")},\"score\":{text.Next(100)}}}"));
                insert.Bind(5, text.Take(40 + text.Next(160))).First();
            }
            connection.Do("COMMIT");
        }
        connection.Do("VACUUM");
        connection.Do(side.IsOurs ? "PRAGMA recovery_compact" : "PRAGMA wal_checkpoint(TRUNCATE)");
    }
}
