using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;
using Xunit.Abstractions;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Files that RocksDB would die of end a process of their own, and nobody else's.</summary>
public sealed class HostileFilesTests(ITestOutputHelper output) : IDisposable
{
    const int Stores = 40;

    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    /// <summary>
    /// Whoever picks tables for a compaction believes it, and asserted it away, with the process: some time after the
    /// restore.
    /// </summary>
    [Fact]
    public void A_MANIFEST_with_the_keys_of_a_table_in_no_order_is_refused()
    {
        HostileFiles.Make(temp["pages"]);
        RocksTrial.Run(temp["pages"], temp["trial"], default);
        Assert.NotEqual(0, HostileFiles.SwapKeys(temp["pages"]));
        var refused = Assert.Throws<RecoveryException>(() => RocksTrial.Run(temp["pages"], temp["trial"], default));
        Assert.Equal(RecoveryError.Corrupt, refused.Error);
        Assert.Contains("in no order", refused.Message);
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void What_was_made_on_purpose_is_refused_or_does_no_harm() => Seeds.RunFor(1, Random.Shared.Next(1 << 30),
        (seed, _) =>
    {
        output.WriteLine($"seed={seed}");
        using var process = Process.Start(new ProcessStartInfo("dotnet",
            [typeof(HostileFiles).Assembly.Location, nameof(HostileFiles),
                Directory.CreateDirectory(Path.Combine(temp.Path, seed.ToString(CultureInfo.InvariantCulture)))
                .FullName,
                seed.ToString(CultureInfo.InvariantCulture), Stores.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        output.WriteLine(said);
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode} after:\n{said}\n{errors.Result}");
    });
}
