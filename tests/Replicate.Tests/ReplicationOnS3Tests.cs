using System.Diagnostics;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>The same on S3, whose gateway is stopped and started meanwhile.</summary>
[Collection(S3Collection.Name)]
public sealed class ReplicationOnS3Tests(S3Server server)
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Big)]
    public async Task What_was_acknowledged_is_in_the_bucket_whatever_ends_in_between()
    {
        // What is restored is read by this process.
        foreach (var (name, value) in server.Environment) Environment.SetEnvironmentVariable(name, value);
        var url = $"s3://{await server.NewBucketAsync()}";
        Seeds.RunFor(1, 3, (seed, _) => Run(new Random(seed), $"{url}/{seed}"));
    }

    void Run(Random random, string url)
    {
        using var run = new ReplicationRuns(random.Next(2) == 0 ? "wal" : "delete", random, url, server.Environment);
        run.Create();
        var writer = run.Writer();
        var replicator = run.Replicator();
        for (var step = 0; step < 3; step++)
        {
            run.UntilAcknowledged(random.Next(5, 100));
            var isAway = random.Next(2) == 0;
            if (isAway) server.StopGateway();
            try
            {
                run.UntilAcknowledged(random.Next(5, 60));
                if (random.Next(2) == 0) run.Kill(replicator);
            }
            finally
            {
                if (isAway) server.StartGateway();
            }
            if (replicator.HasExited) replicator = run.Replicator();
        }
        run.Kill(writer);
        run.Kill(replicator);
        run.Flush();
    }
}
