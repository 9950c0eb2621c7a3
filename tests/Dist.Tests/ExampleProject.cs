namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// A project in .NET, copied outside the source tree, with the packages of dist/ and nothing else of this repository.
/// </summary>
internal sealed class ExampleProject : IDisposable
{
    readonly StoreDirectory project = new();
    readonly Dictionary<string, string> environment;

    public ExampleProject(string name) : this(Repository.Examples, name)
    {
    }

    public ExampleProject(string directory, string name)
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(directory, name))
            .Where(f => Path.GetExtension(f) is ".csproj" or ".cs"))
            File.Copy(file, Path.Combine(project.Path, Path.GetFileName(file)));
        Packages.Use(project.Path, out environment);
    }

    /// <summary>Properties of the build, as "-p:NAME=VALUE".</summary>
    public string[] Properties { get; init; } = [];

    public Outcome Run(Dictionary<string, string> more, params string[] arguments) =>
        Command.RunWith(new(environment.Concat(more)), "dotnet",
            ["run", "-c", "Release", "--project", project.Path, .. Properties, "--", .. arguments]).MustSucceed();

    public void Dispose() => project.Dispose();
}
