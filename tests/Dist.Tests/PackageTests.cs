using System.Text.Json;

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

    [Fact]
    public void The_bill_of_materials_names_what_is_inside()
    {
        var bill = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Dist, "recovery.cdx.json"))).RootElement;
        Assert.Equal("CycloneDX", bill.GetProperty("bomFormat").GetString());
        var components = bill.GetProperty("components").EnumerateArray().Select(component => component.GetProperty("purl").GetString()!).ToArray();
        foreach (var start in (string[])["pkg:nuget/AWSSDK.S3@", "pkg:nuget/SQLite@", "pkg:deb/debian/librocksdb7.8@", "pkg:deb/debian/libzstd1@"])
            Assert.Contains(components, component => component.StartsWith(start, StringComparison.Ordinal));
    }
}
