namespace RecoveryVfs.Dist.Tests;

/// <summary>host/commits.cs as a program of its own, on the NuGet packages; built once a run, under build/.</summary>
internal static class DotnetHost
{
    static readonly Lazy<string> program = new(Build);

    public static string Program => program.Value;

    static string Build()
    {
        var directory = Path.Combine(Repository.Root, "build", "dist-tests", "dotnet");
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        Directory.CreateDirectory(directory);
        File.Copy(Path.Combine(Repository.Examples, "dotnet", "app.csproj"), Path.Combine(directory, "app.csproj"));
        File.Copy(Path.Combine(Repository.Root, "tests", "Dist.Tests", "host", "commits.cs"),
            Path.Combine(directory, "Program.cs"));
        // The tree's own settings are not for programs of users.
        File.WriteAllText(Path.Combine(directory, "Directory.Build.props"), "<Project />");
        Packages.Use(directory, out var environment);
        Command.RunWith(environment, "dotnet", "build", "-c", "Release", "-o", Path.Combine(directory, "out"),
            directory, "--nologo", "-v", "quiet").MustSucceed();
        return Path.Combine(directory, "out", "app");
    }
}
