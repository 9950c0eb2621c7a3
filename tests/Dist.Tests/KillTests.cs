using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// A real process commits from several connections through the extension and is killed with SIGKILL at a random moment,
/// again and again on the same store: while it opens and replays, commits, spills, checkpoints, vacuums. Each time
/// exactly the commits are there that returned, plus at most the one in flight of each connection; host/killed.c checks
/// the rest.
/// </summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class KillTests(ITestOutputHelper output)
{
    /// <summary>
    /// Small bounds, so that overlays spill, WALs are written out and pages enter RocksDB all the time.
    /// </summary>
    const string Small = "overlay-budget=256K&pending-budget=256K&page-cache=1M&wal-buffer=64K";

    [Theory]
    [InlineData(1, "delete", ""), InlineData(2, "wal", ""), InlineData(3, "truncate", "journal=plain&" + Small),
        InlineData(4, "persist", "isolation=locking")]
    [InlineData(5, "wal", Small)]
    public void Every_kill_leaves_the_commits_that_returned_and_at_most_one_more_of_each_connection(int first,
        string mode, string options) =>
        Seeds.RunFor(0, 100 * first, (seed, end) => Kill(new Random(seed), mode, options, end), soakTimes: 3);

    void Kill(Random random, string mode, string options, long end)
    {
        using var store = new StoreDirectory();
        var expected = new Expectation(mode == "wal");
        var (kills, rounds) = (0, Seeds.Soaking ? 100 : 4);
        for (; kills < rounds && (!Seeds.Soaking || Environment.TickCount64 < end); kills++)
            Live(store, random, mode, options, expected);
        expected.Found(
            Command.Run(Repository.HostProgram("killed"), Repository.Extension, store.Path, options, mode, "check")
            .MustSucceed().Lines.Single());
        output.WriteLine(
            $"{mode} {options}: {kills} kills, {expected.Commits} commits returned, {expected.InFlight} more found");
    }

    /// <summary>One process, from its start to its death.</summary>
    static void Live(StoreDirectory store, Random random, string mode, string options, Expectation expected)
    {
        using var process =
            Command.Start([], Repository.HostProgram("killed"), Repository.Extension, store.Path, options, mode,
            random.Next(1 << 20).ToString(CultureInfo.InvariantCulture));
        var errors = process.StandardError.ReadToEndAsync();
        // After so many commits and a moment, or (also while it opens) after so much time.
        var after = random.Next(3) == 0 ? int.MaxValue : random.Next(1, 400);
        var moment = TimeSpan.FromMicroseconds(random.Next(2000));
        using var timer =
            new Timer(_ => process.Kill(), null, after == int.MaxValue ? random.Next(250) : 20_000, Timeout.Infinite);
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (line.StartsWith("state", StringComparison.Ordinal)) expected.Found(line);
            else expected.Returned(line);
            if (--after != 0) continue;
            for (var started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < moment;) { }
            process.Kill();
        }
        process.WaitForExit();
        Assert.True(process.ExitCode == 128 + 9,
            $"The process ended by itself with {process.ExitCode}: {errors.Result}");
    }

    /// <summary>What the process said so far, and so what must be found after it was killed.</summary>
    sealed class Expectation(bool wal)
    {
        readonly long[] returned = new long[4];
        long behind;

        public long Commits => returned.Sum();

        public long InFlight { get; private set; }

        /// <summary>"WRITER NUMBER": the writer's commit of that number returned.</summary>
        public void Returned(string line)
        {
            var words = line.Split(' ');
            var (writer, number) =
                (int.Parse(words[0], CultureInfo.InvariantCulture), long.Parse(words[1], CultureInfo.InvariantCulture));
            Assert.Equal(returned[writer] + 1, number);
            returned[writer] = number;
        }

        /// <summary>"state N0 N1 N2 N3 N3-in-b": what was found.</summary>
        public void Found(string line)
        {
            var found = line.Split(' ')[1..].Select(word => long.Parse(word, CultureInfo.InvariantCulture)).ToArray();
            for (var writer = 0; writer < returned.Length; writer++)
            {
                Assert.True(found[writer] == returned[writer]
                    || found[writer] == returned[writer] + 1,
                    $"Writer {writer} had {returned[writer]} commits returned; found: {line}");
                InFlight += found[writer] - returned[writer];
                returned[writer] = found[writer];
            }
            // SQLite commits several databases in WAL mode one after the other; in the other modes they are one commit.
            var difference = found[3] - found[4] - behind;
            Assert.True(difference == 0 || (wal && difference is 1 or -1),
                $"The attached database and its main one differ: {line}");
            behind += difference;
        }
    }
}
