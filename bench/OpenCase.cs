using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>From opening to the first row: after a clean close, and after the process that wrote was killed.</summary>
internal sealed class OpenCase : Case
{
    public override IReadOnlyList<string> Names => ["open-clean", "open-after-kill"];

    public override void Run(Place place, Report report)
    {
        var rows = Table.RowsFor(place.Pick(200, 40));
        Table.Build(place.Ours, rows);
        Table.Build(place.Stock, rows);
        // Left as it was closed, and once more with commits before the close.
        var clean = Interleaved.Values(place, place.Rounds(11, 11), (side, round) =>
        {
            if (round % 2 == 1)
            {
                using var writer = side.Open();
                using var update = writer.Prepare("UPDATE t SET v='changed' WHERE id=?");
                for (var i = 0; i < 200; i++) update.Bind(1, (round * 7919L + i * 101L) % rows + 1).First();
            }
            side.Settle();
            return FirstRow(side);
        });
        report.AddBounded("open-clean", "ms", clean.Ours, clean.Stock, 20);
        var killed = Interleaved.Values(place, place.Rounds(7, 5), (side, round) =>
        {
            side.Settle();
            KilledChild.WriteAndDie(side, rows, place.Pick(60_000, 15_000), round);
            return FirstRow(side);
        });
        report.AddBounded("open-after-kill", "ms", killed.Ours, killed.Stock, 300);
    }

    static double FirstRow(Side side)
    {
        var started = Stopwatch.GetTimestamp();
        using var connection = side.Open(createsWal: false);
        if (connection.Do("SELECT length(v) FROM t WHERE id=12345") == 0)
            throw new InvalidOperationException("A row is wrong.");
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }
}
