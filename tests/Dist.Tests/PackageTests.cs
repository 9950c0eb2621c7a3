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
        File.WriteAllText(Path.Combine(project.Path, "nuget.config"), $"""
            <configuration>
              <packageSources>
                <add key="recovery" value="{Repository.Dist}/packages" />
              </packageSources>
            </configuration>
            """);
        // A package cache of its own: the machine's may hold the same version of an earlier build. The others come from there.
        var packages = Path.Combine(project.Path, "packages");
        var shared = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        var environment = new Dictionary<string, string> { ["NUGET_PACKAGES"] = packages, ["MSBUILDDISABLENODEREUSE"] = "1" };
        foreach (var other in Directory.GetDirectories(shared).Where(d => !Path.GetFileName(d).StartsWith("recoveryvfs", StringComparison.Ordinal)))
            if (Path.GetFileName(other) is var name && (name.StartsWith("sqlitepclraw", StringComparison.Ordinal) || name.StartsWith("microsoft.data", StringComparison.Ordinal)))
                Command.Run("cp", "-r", other, Directory.CreateDirectory(packages).FullName).MustSucceed();

        for (var run = 1; run <= 2; run++)
        {
            var outcome = Command.RunWith(environment, "dotnet", "run", "-c", "Release", "--project", project.Path, "--", store.Path).MustSucceed();
            Assert.Equal($"dotnet {run}", outcome.Lines[^1]);
        }
        Assert.Equal("2\nok", store.Shell("SELECT count(*) FROM visits; PRAGMA integrity_check").MustSucceed().Output.Trim());
    }
}
