namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>Runs a random test under several seeds; a failure names its seed, and RECOVERY_SEED runs just that one.</summary>
static class Seeds
{
    public static void Run(int count, Action<Random> test)
    {
        if (Environment.GetEnvironmentVariable("RECOVERY_SEED") is { Length: > 0 } fixedSeed)
        {
            test(new Random(int.Parse(fixedSeed)));
            return;
        }
        for (var i = 0; i < count; i++)
        {
            // The first seeds are always the same; the last is new each time.
            var seed = i < count - 1 ? i + 1 : Random.Shared.Next(1_000_000, int.MaxValue);
            try
            {
                test(new Random(seed));
            }
            catch (Exception e)
            {
                throw new Xunit.Sdk.XunitException($"Failed with seed {seed}; run again with RECOVERY_SEED={seed}.\n{e}", e);
            }
        }
    }
}
