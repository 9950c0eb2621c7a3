namespace RecoveryVfs.PageStore.Tests;

/// <summary>What this assembly does when it is started as a program.</summary>
public static class ChildProcess
{
    public static int Run(string[] args)
    {
        switch (args)
        {
            case [nameof(KilledWriter), var directory]:
                KilledWriter.Run(directory);
                return 0;
            case [nameof(KilledRemoteWriter), var directory, var url]:
                KilledRemoteWriter.Run(directory, url);
                return 0;
            case [nameof(FaultSteps), var directory]:
                FaultSteps.Run(directory);
                return 0;
            case [nameof(HostileFiles), var directory, var seed, var count]:
                HostileFiles.Run(directory, int.Parse(seed), int.Parse(count));
                return 0;
            default:
                Console.Error.WriteLine($"Unknown: {string.Join(' ', args)}");
                return 2;
        }
    }
}
