namespace RecoveryVfs.Dist.Tests;

/// <summary>The NuGet packages, in an empty project outside the source tree.</summary>
public sealed class PackageTests
{
    [Fact]
    public void An_empty_project_elsewhere_restores_the_packages_and_runs()
    {
        using var project = new ExampleProject("dotnet");
        using var store = new StoreDirectory();
        for (var run = 1; run <= 2; run++)
            Assert.Equal($"dotnet {run}", project.Run([], store.Path).Lines[^1]);
        Assert.Equal("2\nok", store.Shell("SELECT count(*) FROM visits; PRAGMA integrity_check").MustSucceed().Output.Trim());
    }
}
