using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>A thousand commits of a large database taken back while it is open.</summary>
internal sealed class RollbackCase : Case
{
    const int Commits = 1000, GoalMs = 1000;

    public override IReadOnlyList<string> Names => ["rollback-1000"];

    public override void Run(Place place, Report report)
    {
        var rows = Table.RowsFor(place.Pick(1024, 100));
        Table.Build(place.Ours, rows);
        using var connection = place.Ours.Open("OFF");
        using var update = connection.Prepare("UPDATE t SET v=? WHERE id=?");
        var (text, random) = (new Text(5), new Random(5));
        var took = new double[place.Rounds(7, 5)];
        for (var round = 0; round < took.Length; round++)
        {
            // What is rolled back is not flushed yet, as it is minutes after a mistake.
            connection.Do("PRAGMA recovery_checkpoint");
            var before = connection.Do("PRAGMA recovery_lsn");
            for (var i = 0; i < Commits; i++)
                update.Bind(1, text.Take(Table.RowBytes)).Bind(2, random.Next(rows) + 1).First();
            var started = Stopwatch.GetTimestamp();
            var result = Recovery.RollbackAsync(place.Ours.Directory, $"{before}").GetAwaiter().GetResult();
            took[round] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            if (result.Databases is not [{ Lsn: not null }])
                throw new InvalidOperationException("Nothing was taken back.");
        }
        report.AddLimited("rollback-1000", $"ms for {Commits} commits of {place.Pick(1024, 100)} MB",
            Interleaved.Median(took), GoalMs);
    }
}
