using System.Text.RegularExpressions;

namespace RecoveryVfs.Layout.Tests;

/// <summary>The names in docs/DESIGN.md that look like types of this code, or like their members.</summary>
static partial class DesignPage
{
    /// <summary>What looks like ours, and is not.</summary>
    static readonly HashSet<string> Foreign = ["RocksDB", "TimeProvider"];

    /// <summary>The files of the tests, which are called as their classes.</summary>
    public static IReadOnlySet<string> TestFiles { get; } =
        Directory.EnumerateFiles(Path.Combine(Root(), "tests"), "*.cs", SearchOption.AllDirectories)
            .Select(path => Path.GetFileNameWithoutExtension(path)).ToHashSet(StringComparer.Ordinal);

    public static IEnumerable<string> Names()
    {
        var text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "DESIGN.md"));
        return InMarks().Matches(text).Select(m => m.Groups[1].Value)
            .Concat(Drawings().Matches(text).SelectMany(d => InDrawing().Matches(d.Value)).Select(m => m.Value))
            .Where(name => !Foreign.Contains(name.Split('.')[0]))
            .Distinct(StringComparer.Ordinal);
    }

    public static string Root()
    {
        var at = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(at, "RecoveryVfs.sln")))
            at = Path.GetDirectoryName(at) ?? throw new InvalidOperationException("The tests run outside of the tree.");
        return at;
    }

    /// <summary>Two capitals and a small letter, or a type and a member.</summary>
    [GeneratedRegex(@"`([A-Z]\w*[a-z]\w*[A-Z]\w*|[A-Z]\w*[a-z]\w*\.[A-Z]\w+)(?:\(\))?`")]
    private static partial Regex InMarks();

    [GeneratedRegex(@"^```\n.*?^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Drawings();

    [GeneratedRegex(@"\b[A-Z]\w*[a-z]\w*\.[A-Z]\w+\b|(?<!\.)\b[A-Z]\w*[a-z]\w*[A-Z]\w*\b")]
    private static partial Regex InDrawing();
}
