using System.Diagnostics;
using RecoveryVfs.PageStore.Interop;
using Xunit.Abstractions;
using Trial = RecoveryVfs.PageStore.Tests.FaultSteps.Trial;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// No step of RocksDB's that fails ends the process or costs the store. (Distributions build RocksDB with its
/// assertions on.)
/// </summary>
public sealed class FaultStepTests(ITestOutputHelper output) : IDisposable
{
    const int Steps = 110, Some = 60;

    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Whatever_step_fails_the_process_lives_and_the_store_opens() => Seeds.Once(random =>
    {
        var all = AllTrials().ToArray();
        random.Shuffle(all);
        Run(Seeds.Soaking ? all : all[..Some]);
    });

    /// <summary>
    /// A change of RocksDB's options that could not be written left it without a MANIFEST that may be deleted, or with
    /// an assertion in wait: the steps where that was so.
    /// </summary>
    [Fact]
    public void A_MANIFEST_that_cannot_be_written_is_followed_by_another_and_the_old_one_stays() =>
        Run([.. from error in (FaultError[])[FaultError.Eio, FaultError.Enospc] from skip in Enumerable.Range(6,
            30) select new Trial(FaultOperations.Write, error, true, skip)]);

    static IEnumerable<Trial> AllTrials() =>
        from operation in (FaultOperations[])[FaultOperations.Open, FaultOperations.Write, FaultOperations.Sync]
        from error in (FaultError[])[FaultError.Eio, FaultError.Enospc]
        from forever in (bool[])[true, false]
        from skip in Enumerable.Range(0, Steps)
        select new Trial(operation, error, forever, skip);

    void Run(IReadOnlyList<Trial> trials)
    {
        using var process =
            Process.Start(
            new ProcessStartInfo("dotnet", [typeof(FaultSteps).Assembly.Location, nameof(FaultSteps), temp.Path])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
        var errors = process.StandardError.ReadToEndAsync();
        foreach (var trial in trials) process.StandardInput.WriteLine(FaultSteps.Format(trial));
        process.StandardInput.Close();
        var open = new HashSet<string>();
        while (process.StandardOutput.ReadLine() is { } line)
            if (line.StartsWith("begins ", StringComparison.Ordinal)) open.Add(line[7..]);
            else if (line.StartsWith("ends ", StringComparison.Ordinal)) open.Remove(line[5..]);
        process.WaitForExit();
        output.WriteLine($"{trials.Count} trials");
        Assert.True(process.ExitCode == 0 && open.Count == 0,
            $"exit code {process.ExitCode}, during one of: {string.Join("; ", open)}\n{errors.Result}");
    }
}
