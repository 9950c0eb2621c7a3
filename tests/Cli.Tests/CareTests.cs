using System.Diagnostics;
using System.Text.Json;

namespace RecoveryVfs.Cli.Tests;

/// <summary>What helps before and after trouble: check, doctor, completion, the manual page.</summary>
public sealed class CareTests(Shipped shipped) : IClassFixture<Shipped>
{
    static Dictionary<string, JsonElement> Findings(Outcome outcome) =>
        outcome.Json.GetProperty("findings").EnumerateArray().ToDictionary(f => f.GetProperty("check").GetString()!);

    static string Result(JsonElement finding) => finding.GetProperty("result").GetString()!;

    [Fact]
    public void Check_tells_whether_a_place_can_be_a_remote_and_what_is_in_it()
    {
        var remote = "file://" + shipped.CopyOfRemote();
        var found = Findings(Recover.Run("check", remote, "--json").MustEndWith(0));
        Assert.Equal(["clock", "contents", "reach", "write"], found.Keys.Order());
        Assert.All(found.Values, f => Assert.Equal("ok", Result(f)));
        Assert.Contains("LSN", found["contents"].GetProperty("says").GetString());
        // What it made to find out is gone.
        Assert.False(Directory.Exists(remote[7..] + "/probe")
            && Directory.EnumerateFiles(remote[7..] + "/probe").Any());
        Assert.Equal("skipped",
            Result(Findings(Recover.Run("check", remote, "--read-only", "--json").MustEndWith(0))["write"]));
        Assert.Contains("Nothing needs attention.", Recover.Run("check", remote).MustEndWith(0).Output);
    }

    [Fact]
    public void Check_says_what_is_wrong_with_a_place()
    {
        var (away, environment) = (Nobody.Url, Nobody.Credentials);
        Assert.Equal("failed",
            Result(Findings(Recover.RunWith(environment, "check", away, "--json").MustEndWith(1))["reach"]));
        var other = shipped.Place("other");
        Directory.CreateDirectory(Path.Combine(other, "photos"));
        File.WriteAllText(Path.Combine(other, "photos", "cat.jpg"), "");
        Assert.Equal("warning",
            Result(Findings(Recover.Run("check", "file://" + other, "--json").MustEndWith(1))["contents"]));
        // What a remote is, but where nothing can be made: a file is in the way of what a check makes.
        var closed = shipped.CopyOfRemote();
        if (Directory.Exists(closed + "/probe")) Directory.Delete(closed + "/probe", recursive: true);
        File.WriteAllText(closed + "/probe", "");
        var found = Findings(Recover.Run("check", "file://" + closed, "--json").MustEndWith(1));
        Assert.Equal(("ok", "failed"), (Result(found["reach"]), Result(found["write"])));
        Assert.Contains(closed, found["write"].GetProperty("says").GetString());
    }

    [Fact]
    public void Doctor_finds_a_sound_store_sound_and_a_damaged_one_damaged_with_remedies()
    {
        var place = shipped.Place("patient");
        Recover.Run("restore", shipped.Remote, place).MustEndWith(0);
        using (Shipped.Unshipped(place))
        using (var db = Shipped.Open(place, "a.db")) Shipped.Execute(db, "INSERT INTO t(v) VALUES ('more')");
        Shipped.Close();
        var sound = Findings(Recover.Run("doctor", place, "--json").MustEndWith(0));
        Assert.Equal("ok", Result(sound["pages"]));
        Assert.Equal("ok", Result(sound["log"]));
        File.Delete(Path.Combine(place, "w.db"));
        var stubless = Findings(Recover.Run("doctor", place, "--quick", "--json").MustEndWith(1));
        Assert.Contains("w.db", stubless["stubs"].GetProperty("says").GetString());
        Assert.NotEmpty(stubless["stubs"].GetProperty("remedy").GetString()!);
        File.WriteAllText(Path.Combine(place, ".recovery", "config"), "isolatoin = locking\n");
        Assert.Equal("failed",
            Result(Findings(Recover.Run("doctor", place, "--quick", "--json").MustEndWith(1))["config"]));
    }

    [Theory]
    [InlineData("restore", "recovery rest", 1)]
    [InlineData("--timestamp", "recovery restore --ti", 2)]
    [InlineData("--expires", "recovery snapshot x --exp", 3)]
    public void Bash_completes_commands_and_options(string expected, string line, int word)
    {
        var script = Recover.Run("completion", "bash").MustEndWith(0).Output;
        var ask = $"{script}\nCOMP_WORDS=({line}); COMP_CWORD={word}; _recovery; echo \"${{COMPREPLY[@]}}\"";
        using var bash =
            Process.Start(
            new ProcessStartInfo("bash", ["-c", ask]) { RedirectStandardOutput = true, RedirectStandardError = true })
            !;
        Assert.Equal((expected, ""), (bash.StandardOutput.ReadToEnd().Trim(), bash.StandardError.ReadToEnd()));
    }

    [Theory]
    [InlineData("recovery rest", "restore")]
    [InlineData("recovery restore --time", "--timestamp")]
    [InlineData("recovery sql --wr", "--write")]
    public void Fish_completes_commands_and_options(string line, string expected)
    {
        var script = shipped.Place("fish");
        File.WriteAllText(script, Recover.Run("completion", "fish").MustEndWith(0).Output);
        using var fish =
            Process.Start(
            new ProcessStartInfo("fish",
            ["-c", $"source {script}; complete -C '{line}'"])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true
            })
            !;
        Assert.Equal((expected, ""), (fish.StandardOutput.ReadToEnd().Split('\t')[0], fish.StandardError.ReadToEnd()));
    }

    [Fact]
    public void Zsh_completes_commands_and_options()
    {
        var script = shipped.Place("zsh");
        File.WriteAllText(script, Recover.Run("completion", "zsh").MustEndWith(0).Output);
        // Typed on a terminal, as people do: what was completed is then run, and says what it was given.
        var typed = $$"""recovery() { print "GIVEN:$*:" }\nautoload -U compinit; compinit -u -D\nsource {{script}}\nrecovery rest\t\nrecovery restore --time\t\nrecovery sql --wr\t\nexit\n""";
        var start = new ProcessStartInfo("sh",
            ["-c", $"printf '{typed}' | script -qec 'zsh -f -i' /dev/null"])
        { RedirectStandardOutput = true };
        start.Environment["TERM"] = "xterm";
        using var zsh = Process.Start(start)!;
        var said = zsh.StandardOutput.ReadToEnd();
        foreach (var given in (string[])["GIVEN:restore:", "GIVEN:restore --timestamp:", "GIVEN:sql --write:"])
            Assert.Contains(given, said);
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    public void Every_command_and_option_is_completed(string shell)
    {
        var script = Recover.Run("completion", shell).MustEndWith(0).Output;
        foreach (var command in ((IEnumerable<object[]>)CommandTests.Names).Select(n => (string)n[0]))
        {
            Assert.Contains(command, script);
            var options = Recover.Run(command, "--help").Output.Split('\n').SkipWhile(l => l != "Options:")
                .Where(l => l.StartsWith("  --", StringComparison.Ordinal))
                .Select(l => l.Trim().Split(' ')[0].TrimEnd(','));
            foreach (var option in options) Assert.Contains(shell == "fish" ? " -l " + option[2..] : option, script);
        }
        Recover.Run("completion", "csh").MustEndWith(2);
    }

    [Fact]
    public void The_manual_page_holds_what_help_says()
    {
        var page = Recover.Run("man").MustEndWith(0).Output;
        Assert.StartsWith(".TH RECOVERY 1", page);
        foreach (var command in ((IEnumerable<object[]>)CommandTests.Names).Select(n => (string)n[0]))
            Assert.Contains($".SS {command}\n", page);
        Assert.Contains(".SH EXIT STATUS", page);
        // No line of the text is taken for a request.
        string[] requests = [".TH", ".SH", ".SS", ".TP", ".B", ".I", ".BR", ".nf", ".fi"];
        Assert.All(page.Split('\n').Where(l => l.StartsWith('.')), l => Assert.Contains(l.Split(' ')[0], requests));
    }
}
