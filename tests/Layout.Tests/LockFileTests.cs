using System.Text.Json;

namespace RecoveryVfs.Layout.Tests;

/// <summary>
/// The packages that are locked for arm64 are those that are locked here: nobody who changes a package restores for
/// the other machine as well, and its next build would find them stale.
/// </summary>
public sealed class LockFileTests
{
    public static TheoryData<string> Projects
    {
        get
        {
            var projects = new TheoryData<string>();
            foreach (var path in Directory.EnumerateFiles(Path.Combine(DesignPage.Root(), "src"),
                "packages.arm64.lock.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
                projects.Add(Path.GetFileName(Path.GetDirectoryName(path)!));
            return projects;
        }
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Both_machines_have_the_same_packages(string project)
    {
        var directory = Path.Combine(DesignPage.Root(), "src", project);
        var (here, arm64) = (Packages(directory, "packages.lock.json", "x64"),
            Packages(directory, "packages.arm64.lock.json", "arm64"));
        Assert.True(here.SequenceEqual(arm64),
            $"src/{project}/packages.arm64.lock.json is stale: it differs in {string.Join("; ", here.Except(arm64)
                .Concat(arm64.Except(here)))}. Make it anew: rm src/*/packages.arm64.lock.json; for p in Extension Cli "
            + "Tail RocksDbEnv; do dotnet restore src/$p -r linux-arm64 -p:Machine=arm64; done");
    }

    /// <summary>Each package with all that is said of it, but for the compiler's own, which is the machine's.</summary>
    static List<string> Packages(string directory, string file, string machine)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(directory, file)));
        var found = new List<string>();
        foreach (var framework in json.RootElement.GetProperty("dependencies").EnumerateObject())
            foreach (var package in framework.Value.EnumerateObject())
                if (!package.Name.Contains("ILCompiler", StringComparison.Ordinal))
                    found.Add($"{framework.Name.Replace("linux-" + machine, "machine", StringComparison.Ordinal)} "
                        + $"{package.Name} {Text(package.Value)}");
        found.Sort(StringComparer.Ordinal);
        return found;
    }

    /// <summary>Without the hash: what a package is, its version says.</summary>
    static string Text(JsonElement package) => string.Join(' ', package.EnumerateObject()
        .Where(p => p.Name != "contentHash").OrderBy(p => p.Name, StringComparer.Ordinal)
        .Select(p => p.Value.ToString()));
}
