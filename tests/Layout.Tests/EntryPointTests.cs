using System.Text.RegularExpressions;

namespace RecoveryVfs.Layout.Tests;

/// <summary>
/// Where another language calls in, nothing is thrown out: an exception there ends the host's process. This reads the
/// sources, so that an entry point that comes later is looked at, too.
/// </summary>
public sealed partial class EntryPointTests
{
    /// <summary>They hand on a constant, or what the system answers.</summary>
    static readonly string[] managedThatDoNothing =
        ["Functions", "Anchor", "Disconnect", "SectorSize", "FullPathname", "OnPair"];

    /// <summary>
    /// They hand on what is there or free what they are given, also while the process ends, or are a process of their
    /// own.
    /// </summary>
    static readonly string[] nativeThatDoNothing =
        ["rv_interface", "rv_free", "rv_batch_bytes", "rv_batch_free", "rv_batch_clear", "rv_files_free",
        "rv_files_read_absent", "rv_rocksdb_version", "recovery_trial_main"];

    static IEnumerable<string> Sources(string below, string pattern)
        => Directory.EnumerateFiles(Path.Combine(DesignPage.Root(), below), pattern, SearchOption.AllDirectories)
            .Where(path => !path.Contains("/obj/") && !path.Contains("/bin/"));

    [Fact]
    public void Each_method_that_native_code_calls_catches()
    {
        var seen = 0;
        foreach (var path in Sources("src", "*.cs"))
        {
            var lines = File.ReadAllLines(path);
            for (var i = 0; i < lines.Length; i++)
            {
                if (!lines[i].TrimStart().StartsWith("[UnmanagedCallersOnly", StringComparison.Ordinal)) continue;
                seen++;
                var name = Method().Match(lines[i + 1]).Groups[1].Value;
                var body = lines.Skip(i + 2).TakeWhile(line => line != "    }" && line.Length > 0).ToArray();
                Assert.True(managedThatDoNothing.Contains(name)
                    || body.Any(line => line.Contains("catch (Exception", StringComparison.Ordinal))
                    || lines.Skip(i + 1).TakeWhile(line => line != "    }")
                        .Any(line => line.Contains("catch (Exception", StringComparison.Ordinal)),
                    $"{path}({i + 2}): {name} is called by native code, and catches nothing.");
            }
        }
        Assert.InRange(seen, 40, 1000);
    }

    [Fact]
    public void Each_function_of_the_native_library_catches()
    {
        var seen = 0;
        foreach (var path in Sources("native", "*.cc"))
        {
            var text = File.ReadAllText(path);
            if (text.IndexOf("extern \"C\" {\n", StringComparison.Ordinal) is not (>= 0 and var at)) continue;
            foreach (var function in text[at..].Split("\n}\n"))
            {
                if (NativeFunction().Match(function) is not { Success: true } match) continue;
                seen++;
                var name = match.Groups[1].Value;
                Assert.True(nativeThatDoNothing.Contains(name) || function.Contains("Guard(", StringComparison.Ordinal)
                    || function.Contains("GuardOr", StringComparison.Ordinal),
                    $"{path}: {name} is called by C#, and lets C++'s exceptions through.");
            }
        }
        Assert.InRange(seen, 35, 1000);
    }

    /// <summary>O_NOFOLLOW and O_DIRECTORY have other numbers on arm64, where those mean something else.</summary>
    [Fact]
    public void Flags_that_processors_disagree_about_stand_in_one_place()
    {
        foreach (var path in Sources("src", "*.cs").Where(p => Path.GetFileName(p) != "Posix.cs"))
            foreach (var line in File.ReadLines(path))
                Assert.False(OpenFlag().IsMatch(line), $"{path}: {line.Trim()} is Posix.O_NOFOLLOW or O_DIRECTORY.");
    }

    [GeneratedRegex(@"static \S+ (\w+)\(")]
    private static partial Regex Method();

    [GeneratedRegex(@"\n[\w*:_ ()""]*?\b(rv_\w+|recovery_\w+)\([^;]*?\) \{", RegexOptions.Singleline)]
    private static partial Regex NativeFunction();

    [GeneratedRegex(@"\b(NoFollow|OnlyDirectory|O_NOFOLLOW|O_DIRECTORY) = 0x(20000|10000|8000|4000)\b")]
    private static partial Regex OpenFlag();
}
