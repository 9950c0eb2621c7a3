using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace RecoveryVfs.Bench;

/// <summary>
/// SQLite's own benchmark programs, speedtest1 and kvtest, as other languages see us: through the loadable extension,
/// against the unix VFS of the same binary. ./build.sh bench makes them (tests/sqlite-suite/build-programs.sh) and
/// dist/recovery.so.
/// </summary>
internal abstract partial class ProgramCase(string program, string mode) : Case
{
    /// <summary>"rollback" or "wal".</summary>
    protected string Mode => mode;

    protected string JournalMode => mode == "wal" ? "wal" : "delete";

    /// <summary>What is not there of the programs and the extension.</summary>
    public static string? Missing => ((string[])[Extension, PathOf("speedtest1"), PathOf("kvtest")])
        .FirstOrDefault(path => !File.Exists(path));

    static string Extension => Path.GetFullPath("dist/recovery.so");

    static string PathOf(string program) => Path.GetFullPath(Path.Combine("build/sqlite/bin", program));

    /// <summary>Runs the program on one side; returns what it printed.</summary>
    protected string Program(Side side, params string[] arguments)
    {
        var start = new ProcessStartInfo(PathOf(program), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = side.Directory
        };
        if (side.IsOurs)
        {
            start.Environment["SQLITE_DEFAULT_VFS_SO"] = Extension;
            start.Environment["SQLITE_DEFAULT_VFS_NAME"] = "recovery";
        }
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException(
                $"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output}{errors.Result}");
        return output;
    }

    /// <summary>The seconds in what a program printed.</summary>
    protected static double Seconds(string output, Regex pattern)
        => double.Parse(pattern.Match(output).Groups[1].Value, CultureInfo.InvariantCulture);

    protected static void Empty(Side side)
    {
        Directory.Delete(side.Directory, recursive: true);
        Directory.CreateDirectory(side.Directory);
    }
}

/// <summary>
/// speedtest1: thirty-odd kinds of statements, most in large transactions, on a database of some tens of megabytes.
/// </summary>
internal sealed partial class SpeedTestCase(string mode) : ProgramCase("speedtest1", mode)
{
    public override IReadOnlyList<string> Names => [$"speedtest1-{Mode}"];

    public override void Run(Place place, Report report)
    {
        var size = place.Pick(100, 25).ToString(CultureInfo.InvariantCulture);
        var (ours, stock) = Interleaved.Values(place, place.Rounds(5, 3), (side, _) =>
        {
            Empty(side);
            return Seconds(Program(side, "--size", size, "--journal", JournalMode, "speed.db"), Total());
        });
        report.AddCost(Names[0], "s", ours, stock, 1.0);
    }

    [GeneratedRegex(@"TOTAL\.+\s+([0-9.]+)s")]
    private static partial Regex Total();
}

/// <summary>
/// kvtest: 50 MB of blobs of about 10 KB by their key, read at random by a new process, so often that opening and first
/// touches (which have rows of their own) are a small part, and overwritten at random, each in a transaction of its
/// own.
/// </summary>
internal sealed partial class KeyValueCase(string mode) : ProgramCase("kvtest", mode)
{
    public override IReadOnlyList<string> Names => [$"kvtest-read-{Mode}", $"kvtest-update-{Mode}"];

    public override void Run(Place place, Report report)
    {
        var blobs = place.Pick(5_000, 2_000).ToString(CultureInfo.InvariantCulture);
        var reads = place.Pick(300_000, 100_000).ToString(CultureInfo.InvariantCulture);
        var updates = place.Pick(4_000, 500).ToString(CultureInfo.InvariantCulture);
        foreach (var side in (Side[])[place.Ours, place.Stock])
            Program(side, "init", "kv.db", "--count", blobs, "--size", "10000", "--variance", "2000", "--pagesize",
                "4096");
        string[] run = ["run", "kv.db", "--random", "--jmode", JournalMode, "--max-id", blobs];
        var (ours, stock) =
            Interleaved.Values(place, place.Rounds(5, 3),
            (side, _) => Seconds(Program(side, [.. run, "--count", reads]), Elapsed()));
        report.AddCost(Names[0], "s", ours, stock, 1.0);
        (ours, stock) =
            Interleaved.Values(place, place.Rounds(5, 3),
            (side, _) => Seconds(Program(side, [.. run, "--count", updates, "--update", "--multitrans"]), Elapsed()));
        report.AddCost(Names[1], "s", ours, stock, 1.0);
    }

    [GeneratedRegex(@"Total elapsed time: ([0-9.]+)")]
    private static partial Regex Elapsed();
}
