using System.Diagnostics;
using RecoveryVfs.Programs;

namespace RecoveryVfs.Cli.Tests;

/// <summary>One list of exit codes: of both programs, in their help, and in the documentation.</summary>
public sealed class ExitCodeTests
{
    public static string Root
    {
        get
        {
            var at = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(at, "RecoveryVfs.sln"))) at = Path.GetDirectoryName(at)!;
            return at;
        }
    }

    [Fact]
    public void The_documentation_lists_them_all_and_no_others()
    {
        var rows = File.ReadAllLines(Path.Combine(Root, "docs", "OPERATIONS.md")).SkipWhile(l => l != "| code | |")
            .Skip(2).TakeWhile(l => l.StartsWith('|')).ToList();
        Assert.Equal(ExitCode.All.Select(c => $"| {c.Code} | {c.Meaning} |"), rows);
    }

    [Fact]
    public void Both_programs_show_them()
    {
        Assert.Contains(ExitCode.Explained, Recover.Run("--help").MustEndWith(0).Output);
        using var tail =
            Process.Start(
            new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), "--help"])
            { RedirectStandardOutput = true })
            !;
        Assert.Contains(ExitCode.Explained, tail.StandardOutput.ReadToEnd());
    }

    [Fact]
    public void Every_kind_of_error_has_one() =>
        Assert.All(Enum.GetValues<RecoveryLog.RecoveryError>(),
            e => Assert.Contains(ExitCode.All, c => c.Code == ExitCode.Of(e) && c.Code != 0));
}
