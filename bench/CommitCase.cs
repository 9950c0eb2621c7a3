namespace RecoveryVfs.Bench;

/// <summary>Commits of one row each.</summary>
internal sealed class CommitCase(string name, string oursSynchronous, string stockSynchronous, double goal) : Case
{
    public override IReadOnlyList<string> Names => [name];

    public override void Run(Place place, Report report)
    {
        using var ours = place.Ours.Open(oursSynchronous);
        using var stock = place.Stock.Open(stockSynchronous);
        foreach (var connection in (Connection[])[ours, stock])
            connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
        using var oursInsert = ours.Prepare("INSERT INTO t(v) VALUES(?)");
        using var stockInsert = stock.Prepare("INSERT INTO t(v) VALUES(?)");
        var text = new Text(1);
        var count = (oursSynchronous == "OFF" ? 10 : 1) * place.Pick(10_000, 2_000);

        void Commit(Side side, int number)
        {
            var insert = side.IsOurs ? oursInsert : stockInsert;
            for (var i = 0; i < number; i++) insert.Bind(1, text.Take(100)).First();
        }

        Interleaved.Seconds(place, 2, (side, _) => Commit(side, count / 2));
        var (oursSeconds, stockSeconds) =
            Interleaved.Seconds(place, place.Rounds(9, 9), (side, _) => Commit(side, count));
        report.AddRate(name, "commits/s", count / oursSeconds, count / stockSeconds, goal);
    }
}
