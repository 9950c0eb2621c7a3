using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// A full disk is an error of the call that needs room. It never ends the process, and costs nothing that was
/// acknowledged.
/// </summary>
public sealed class FullDiskTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("tmpfs", "")]
    [InlineData("tmpfs", "remote=file://DISK/remote&sync-interval=10")]
    [InlineData("ext4", "")]
    [InlineData("ext4", "remote=file://DISK/remote&sync-interval=10")]
    public void No_call_ends_the_process(string kind, string options)
    {
        if (SmallDisk.Run(kind, [SmallDisk.Name, options], out var reason) is not { } result)
        {
            output.WriteLine($"Not tested. {reason}");
            return;
        }
        output.WriteLine(result.Output);
        Assert.True(result.ExitCode == 0, result.Output);
    }
}
