namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// Programs in Go, compiled once a run against Debian's mattn/go-sqlite3 and the machine's SQLite, under build/ so that
/// the source tree stays clean.
/// </summary>
internal static class GoExample
{
    static readonly Dictionary<string, string> compiled = [];

    /// <summary>examples/go/NAME.go, or a program of host/.</summary>
    public static string Program(string name)
    {
        lock (compiled)
        {
            if (compiled.TryGetValue(name, out var program)) return program;
            var source = Path.Combine(Repository.Examples, "go", name + ".go");
            if (!File.Exists(source))
                source = Path.Combine(Repository.Root, "tests", "Dist.Tests", "host", name + ".go");
            var directory = Path.Combine(Repository.Root, "build", "go");
            program = Path.Combine(directory, name);
            // Debian has the driver as a part of GOPATH: nothing is fetched.
            Command.RunWith(
                new()
                {
                    ["GO111MODULE"] = "off",
                    ["GOPATH"] = "/usr/share/gocode",
                    ["GOCACHE"] = Path.Combine(directory, "cache"),
                    ["CGO_ENABLED"] = "1",
                },
                "go", "build", "-tags", "libsqlite3", "-o", program, source).MustSucceed();
            return compiled[name] = program;
        }
    }
}
