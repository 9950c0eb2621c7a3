using System.Diagnostics;

namespace RecoveryVfs.Replicate.Tests;

public sealed class ReplicationTests
{
    [Theory]
    [InlineData("wal", 1)]
    [InlineData("delete", 2)]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Every_commit_is_a_state_of_the_application_and_what_was_acknowledged_is_there_whoever_is_killed(
        string mode, int first) =>
        Seeds.RunFor(4, first, (seed, _) => Run(mode, new Random(seed)));

    static void Run(string mode, Random random)
    {
        using var run = new ReplicationRuns(mode, random);
        run.Create();
        var writers = new List<Process> { run.Writer(), run.Writer() };
        var hostile = mode == "wal" && random.Next(2) == 0 ? run.HostileCheckpointer() : null;
        var replicator = run.Replicator();
        for (var step = 0; step < 3; step++)
        {
            run.UntilAcknowledged(random.Next(5, 150));
            switch (random.Next(4))
            {
                case 0:
                    run.Kill(replicator);
                    run.UntilAcknowledged(random.Next(1, 60));
                    replicator = run.Replicator();
                    break;
                case 1:
                    var victim = random.Next(writers.Count);
                    run.Kill(writers[victim]);
                    writers[victim] = run.Writer();
                    break;
                case 2 when hostile is not null:
                    run.Kill(hostile);
                    hostile = null;
                    break;
            }
        }
        run.Kill(replicator);
        run.Flush();
        foreach (var writer in writers) run.Kill(writer);
        run.Flush();
    }
}
