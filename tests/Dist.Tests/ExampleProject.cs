namespace RecoveryVfs.Dist.Tests;

/// <summary>An example in .NET, copied outside the source tree, with the packages of dist/ and nothing else of this repository.</summary>
internal sealed class ExampleProject : IDisposable
{
    readonly StoreDirectory project = new();
    readonly Dictionary<string, string> environment;

    public ExampleProject(string name)
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Examples, name)).Where(f => Path.GetExtension(f) is ".csproj" or ".cs"))
            File.Copy(file, Path.Combine(project.Path, Path.GetFileName(file)));
        File.WriteAllText(Path.Combine(project.Path, "nuget.config"), $"""
            <configuration>
              <packageSources>
                <add key="recovery" value="{Repository.Dist}/packages" />
              </packageSources>
            </configuration>
            """);
        // A package cache of its own: the machine's may hold the same version of an earlier build. The others come from there.
        var packages = Directory.CreateDirectory(Path.Combine(project.Path, "packages")).FullName;
        var shared = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        environment = new() { ["NUGET_PACKAGES"] = packages, ["MSBUILDDISABLENODEREUSE"] = "1" };
        foreach (var other in Directory.GetDirectories(shared).Where(d => IsNeeded(Path.GetFileName(d))))
            Command.Run("cp", "-r", other, packages).MustSucceed();
    }

    static bool IsNeeded(string package) => ((string[])["sqlitepclraw", "microsoft.data", "opentelemetry", "microsoft.extensions"]).Any(p => package.StartsWith(p, StringComparison.Ordinal));

    public Outcome Run(Dictionary<string, string> more, params string[] arguments) =>
        Command.RunWith(new(environment.Concat(more)), "dotnet", ["run", "-c", "Release", "--project", project.Path, "--", .. arguments]).MustSucceed();

    public void Dispose() => project.Dispose();
}
