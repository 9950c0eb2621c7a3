using System.Reflection;

namespace RecoveryVfs.Dist.Tests;

/// <summary>Places in the source tree, and what ./build.sh put there.</summary>
internal static class Repository
{
    public static string Root { get; } = typeof(Repository).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .First(a => a.Key == "RepositoryRoot").Value!.TrimEnd('/');

    public static string Examples => Path.Combine(Root, "examples");

    /// <summary>The directory that a user copies.</summary>
    public static string Dist
    {
        get
        {
            var dist = Path.Combine(Root, "dist");
            return File.Exists(Path.Combine(dist, "recovery.so"))
                ? dist
                : throw new InvalidOperationException(
                $"{dist}/recovery.so is missing; these tests run as ./build.sh test --only=dist");
        }
    }

    /// <summary>The extension's path as programs give it to SQLite, which adds the suffix.</summary>
    public static string Extension => Path.Combine(Dist, "recovery");

    /// <summary>A C program of host/, compiled once a run against the machine's SQLite.</summary>
    public static string HostProgram(string name)
    {
        lock (compiled)
        {
            if (compiled.TryGetValue(name, out var program))
                return program;
            var source = Path.Combine(Root, "tests", "Dist.Tests", "host", name + ".c");
            if (!File.Exists(source))
                source = Path.Combine(Examples, "c", name + ".c");
            var directory = Path.Combine(Root, "build", "dist-tests");
            Directory.CreateDirectory(directory);
            program = Path.Combine(directory, name);
            Command.Run("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source, "-lsqlite3", "-lpthread")
                .MustSucceed();
            return compiled[name] = program;
        }
    }

    static readonly Dictionary<string, string> compiled = [];
}
