using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>Measures the two sides in turns, so that what else the machine does hits both, and takes medians.</summary>
internal static class Interleaved
{
    /// <summary>
    /// Seconds that <paramref name="work"/> takes on each side: medians over the rounds. The side that goes first
    /// changes each round.
    /// </summary>
    public static (double Ours, double Stock) Seconds(Place place, int rounds, Action<Side, int> work) =>
        Values(place, rounds, (side, round) =>
        {
            var started = Stopwatch.GetTimestamp();
            work(side, round);
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        });

    /// <summary>Like <see cref="Seconds"/>, with a number that the work gives itself.</summary>
    public static (double Ours, double Stock) Values(Place place, int rounds, Func<Side, int, double> work)
    {
        var (ours, stock) = (new double[rounds], new double[rounds]);
        var only = place.Settings.Side;
        var (runOurs, runStock) = (only is null or "ours", only is null or "stock");
        for (var round = 0; round < rounds; round++)
        {
            if (runOurs && round % 2 == 0) ours[round] = work(place.Ours, round);
            if (runStock) stock[round] = work(place.Stock, round);
            if (runOurs && round % 2 != 0) ours[round] = work(place.Ours, round);
        }
        return (Median(ours), Median(stock));
    }

    public static double Median(double[] values)
    {
        var sorted = values.Order().ToArray();
        var half = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    /// <summary>The value that a share of the others is not above.</summary>
    public static double Percentile(double[] values, double share)
    {
        var sorted = values.Order().ToArray();
        return sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];
    }
}
