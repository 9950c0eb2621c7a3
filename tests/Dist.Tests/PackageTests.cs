namespace RecoveryVfs.Dist.Tests;

/// <summary>The NuGet packages, in an empty project outside the source tree.</summary>
public sealed class PackageTests
{
    [Fact]
    public void An_empty_project_elsewhere_restores_the_packages_and_runs()
    {
        using var project = new StoreDirectory();
        using var store = new StoreDirectory();
        var example = Path.Combine(Repository.Examples, "dotnet");
        foreach (var name in new[] { "app.csproj", "Program.cs" })
            File.Copy(Path.Combine(example, name), Path.Combine(project.Path, name));
        Packages.Use(project.Path, out var environment);
        for (var run = 1; run <= 2; run++)
        {
            var outcome = Command.RunWith(environment, "dotnet", "run", "-c", "Release", "--project", project.Path, "--", store.Path).MustSucceed();
            Assert.Equal($"dotnet {run}", outcome.Lines[^1]);
        }
        Assert.Equal("2\nok", store.Shell("SELECT count(*) FROM visits; PRAGMA integrity_check").MustSucceed().Output.Trim());
    }
}
