namespace RecoveryVfs.Dist.Tests;

/// <summary>The NuGet packages of dist/ as the source of a project.</summary>
internal static class Packages
{
    /// <summary>
    /// Makes a project directory restore from dist/; <paramref name="environment"/> is for the dotnet commands on it.
    /// </summary>
    public static void Use(string directory, out Dictionary<string, string> environment)
    {
        File.WriteAllText(Path.Combine(directory, "nuget.config"), $"""
            <configuration>
              <packageSources>
                <add key="recovery" value="{Repository.Dist}/packages" />
              </packageSources>
            </configuration>
            """);
        // A package cache of its own: the machine's may hold the same version of an earlier build. The others come from
        // there.
        var packages = Path.Combine(directory, "packages");
        var shared = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        environment = new() { ["NUGET_PACKAGES"] = packages, ["MSBUILDDISABLENODEREUSE"] = "1" };
        foreach (var other in Directory.GetDirectories(shared).Where(d => IsNeeded(Path.GetFileName(d))))
            Command.Run("cp", "-r", other, Directory.CreateDirectory(packages).FullName).MustSucceed();
    }

    static bool IsNeeded(string package)
        => ((string[])["sqlite", "awssdk", "dapper", "microsoft.data", "microsoft.entityframeworkcore", "opentelemetry",
            "microsoft.extensions"]).Any(p => package.StartsWith(p, StringComparison.Ordinal));
}
