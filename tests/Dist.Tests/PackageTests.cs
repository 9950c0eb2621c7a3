using System.IO.Compression;
using System.Text.Json;
using System.Text.RegularExpressions;

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
        Assert.Equal("2\nok", store.Shell("SELECT count(*) FROM visits; PRAGMA integrity_check").MustSucceed()
            .Output.Trim());
    }

    [Fact]
    public void The_bill_of_materials_names_what_is_inside()
    {
        var bill = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Dist, "recovery.cdx.json"))).RootElement;
        Assert.Equal("CycloneDX", bill.GetProperty("bomFormat").GetString());
        var components = bill.GetProperty("components").EnumerateArray()
            .Select(component => component.GetProperty("purl").GetString()!).ToArray();
        foreach (var start in (string[])["pkg:nuget/AWSSDK.S3@", "pkg:nuget/SQLite@", "pkg:deb/debian/librocksdb7.8@",
            "pkg:deb/debian/libzstd1@"])
            Assert.Contains(components, component => component.StartsWith(start, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_component_is_named_in_the_third_party_notices()
    {
        var notices = File.ReadAllText(Path.Combine(Repository.Dist, "THIRD-PARTY-NOTICES.md"));
        var bill = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Dist, "recovery.cdx.json"))).RootElement;
        var names = bill.GetProperty("components").EnumerateArray()
            .Select(component => component.GetProperty("name").GetString()!).Distinct().ToArray();
        Assert.Contains("librocksdb7.8", names);
        Assert.Equal([],
            names.Where(name => !Regex.IsMatch(notices, $@"(?m)^\|.*(?<![\w.-]){Regex.Escape(name)}(?![\w.-]).*\|$")));
        Assert.True(File.Exists(Path.Combine(Repository.Dist, "LICENSE")));
        Assert.Contains(".NET", File.ReadAllText(Path.Combine(Repository.Dist, "THIRD-PARTY-NOTICES.dotnet.txt")));
    }

    [Fact]
    public void A_package_says_what_it_is_and_brings_symbols()
    {
        foreach (var name in (string[])["RecoveryVfs", "RecoveryVfs.RecoveryLog", "RecoveryVfs.PageStore",
            "RecoveryVfs.Rows", "RecoveryVfs.Changes", "RecoveryVfs.Hosting", "RecoveryVfs.RocksDb"])
        {
            var file = Directory.GetFiles(Path.Combine(Repository.Dist, "packages"), $"{name}.?.*.nupkg").Single();
            using var package = ZipFile.OpenRead(file);
            Assert.NotNull(package.GetEntry("README.md"));
            Assert.NotNull(package.GetEntry("THIRD-PARTY-NOTICES.md"));
            using var text = new StreamReader(package.GetEntry($"{name}.nuspec")!.Open());
            var nuspec = text.ReadToEnd();
            Assert.Contains("<license type=\"expression\">Apache-2.0</license>", nuspec);
            Assert.Contains("<readme>README.md</readme>", nuspec);
            Assert.DoesNotContain("<description>SQLite that cannot be lost.</description>", nuspec);
            Assert.True(File.Exists(Path.ChangeExtension(file, ".snupkg")));
        }
    }
}
