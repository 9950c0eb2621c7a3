namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// examples/node with the newest better-sqlite3 installed beside it, under build/ so that the source tree stays clean.
/// </summary>
internal static class NodeExample
{
    static readonly Lazy<string> directory = new(Install);

    public static string Script => Path.Combine(directory.Value, "app.js");

    /// <summary>A program of host/, copied to where it finds better-sqlite3.</summary>
    public static string HostProgram(string name)
    {
        var program = Path.Combine(directory.Value, name);
        File.Copy(Path.Combine(Repository.Root, "tests", "Dist.Tests", "host", name), program, overwrite: true);
        return program;
    }

    static string Install()
    {
        var directory = Path.Combine(Repository.Root, "build", "node");
        var source = Path.Combine(Repository.Examples, "node");
        Directory.CreateDirectory(directory);
        foreach (var name in new[] { "app.js", "package.json" })
            File.Copy(Path.Combine(source, name), Path.Combine(directory, name), overwrite: true);
        if (!File.Exists(
            Path.Combine(directory, "node_modules", "better-sqlite3", "build", "Release", "better_sqlite3.node")))
        {
            // Built from source where no prebuilt binary is to be had; with the machine's own headers of Node.
            var environment = File.Exists("/usr/include/node/node.h")
                ? new Dictionary<string, string> { ["npm_config_nodedir"] = "/usr" }
                : [];
            Command.RunWith(environment, "npm", "install", "--prefix", directory, "--no-audit", "--no-fund")
                .MustSucceed();
        }
        return directory;
    }
}
