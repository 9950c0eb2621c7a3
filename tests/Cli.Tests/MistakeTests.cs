using System.Diagnostics;
using System.Text.Json;

namespace RecoveryVfs.Cli.Tests;

/// <summary>What a mistake on the command line gets for an answer.</summary>
public sealed class MistakeTests(Shipped shipped) : IClassFixture<Shipped>
{
    [Theory]
    [InlineData("Did you mean 'restore'?", "restor")]
    [InlineData("Did you mean 'status'?", "stauts")]
    [InlineData("Did you mean 'databases'?", "data")]
    [InlineData("Did you mean '--timestamp'?", "restore", "--timestmap", "now")]
    [InlineData("Did you mean '--lsn'?", "restore", "file:///tmp/x", "/tmp/y", "--lns=5")]
    [InlineData("Did you mean '--sample'?", "verify", "--smaple")]
    [InlineData("'abc' cannot be the value of --last: it takes N.", "log", "-n", "abc")]
    [InlineData("'abc' cannot be the value of --lsn: it takes N.", "restore", "file:///tmp/x", "/tmp/y", "--lsn",
        "abc")]
    [InlineData("'d' is one argument too many.", "restore", "a", "b", "d")]
    public void A_wrong_word_is_named_with_what_was_meant(string said, params string[] arguments)
    {
        var outcome = Recover.Run(arguments).MustEndWith(2);
        Assert.Contains(said, outcome.Errors);
        Assert.Empty(outcome.Output);
    }

    [Fact]
    public void Nothing_is_suggested_that_is_not_near()
        => Assert.DoesNotContain("Did you mean", Recover.Run("xyzzyplugh").MustEndWith(2).Errors);

    [Theory]
    [InlineData(2, "usage", "log", "-n", "abc")]
    [InlineData(2, "usage", "restore", "file:///tmp/x", "/tmp/y", "--timestamp", "soon")]
    [InlineData(3, "not-found", "status", "/no/such/place")]
    [InlineData(3, "not-found", "verify", "file:///no/such/remote")]
    public void With_json_an_error_is_json(int code, string kind, params string[] arguments)
    {
        var outcome = Recover.Run([.. arguments, "--json"]).MustEndWith(code);
        var error = JsonDocument.Parse(outcome.Errors.Split('\n')[0]).RootElement.GetProperty("error");
        Assert.Equal((kind, code), (error.GetProperty("kind").GetString(), error.GetProperty("exit_code").GetInt32()));
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
        Assert.Empty(outcome.Output);
    }

    [Fact]
    public void With_json_an_error_says_what_it_is_where_and_what_to_do()
    {
        var missing = ErrorOf(3, "verify", "file:///no/such/remote");
        Assert.Equal("not-found", missing.GetProperty("error").GetString());
        Assert.Contains("/no/such/remote", missing.GetProperty("path").GetString());
        Assert.StartsWith("Check the URL", missing.GetProperty("hint").GetString());
        Assert.False(missing.GetProperty("transient").GetBoolean());
        Assert.False(missing.TryGetProperty("lsn", out _));

        var ahead = ErrorOf(3, "restore", shipped.Remote, shipped.Place("ahead"), "--lsn", "987654321");
        Assert.Equal(987654321ul, ahead.GetProperty("lsn").GetUInt64());
        Assert.EndsWith(ahead.GetProperty("hint").GetString()!, ahead.GetProperty("message").GetString());
    }

    /// <summary>Commands of branches, roll backs, snapshots, the past and replicas, on what is not there.</summary>
    [Theory]
    [InlineData(2, "REMOTE", "branch", "REMOTE", "REMOTE")]
    [InlineData(2, "REMOTE", "branch", "--delete", "REMOTE")]
    [InlineData(3, "file:///no/such", "branch", "file:///no/such", "file:///no/branch")]
    [InlineData(3, "file:///no/such", "branches", "file:///no/such")]
    [InlineData(3, "/no/such", "snapshot", "restore", "/no/such", "PLACE")]
    [InlineData(3, "REMOTE", "restore", "REMOTE", "PLACE", "--snapshot", "none")]
    [InlineData(3, "/no/such", "rollback", "/no/such", "--to", "now")]
    [InlineData(3, "/no/such", "bookmark", "/no/such")]
    [InlineData(3, "REMOTE", "diff", "REMOTE", "--database", "a.db", "--from", "987654321")]
    [InlineData(3, "REMOTE", "at", "REMOTE", "--lsn", "987654321", "--query", "SELECT 1")]
    [InlineData(3, "/no/such/app.db", "replicate", "/no/such/app.db", "file:///no/remote", "--once")]
    [InlineData(3, "/tmp/no-such.db", "replicate", "/tmp/no-such.db", "NEW", "--store", "PLACE", "--once")]
    [InlineData(2, "/etc/passwd", "replicate", "/etc/passwd", "REMOTE", "--once")]
    [InlineData(2, "REMOTE", "rollback", "REMOTE", "--to", "5")]
    [InlineData(2, "REMOTE", "rollbacks", "REMOTE")]
    [InlineData(3, "file:///no/such", "bookmark", "file:///no/such")]
    [InlineData(3, "/no/such/x", "snapshot", "create", "REMOTE", "-o", "/no/such/x")]
    [InlineData(3, "/no/such", "snapshot", "verify", "/no/such")]
    [InlineData(4, "/etc/passwd", "snapshot", "restore", "/etc/passwd", "PLACE")]
    [InlineData(2, "REMOTE/log/x", "branch", "REMOTE", "REMOTE/log/x")]
    [InlineData(2, "REMOTE/pins", "branch", "REMOTE", "REMOTE/pins")]
    [InlineData(2, "/etc/passwd", "restore", "REMOTE", "/etc/passwd")]
    [InlineData(2, "/etc/passwd", "snapshot", "restore", "FILE", "/etc/passwd")]
    public void An_error_names_its_place_and_what_to_do(int code, string place, params string[] arguments)
    {
        string Real(string word) => word switch
        {
            "REMOTE" => shipped.Remote,
            "PLACE" => shipped.Place("nowhere"),
            "NEW" => "file://" + shipped.Place("nothing"),
            "FILE" => SnapshotFile(),
            _ => word.Replace("REMOTE/", shipped.Remote + "/"),
        };
        var error = ErrorOf(code, [.. arguments.Select(Real)]);
        Assert.Equal(Real(place), error.GetProperty("path").GetString());
        Assert.EndsWith(error.GetProperty("hint").GetString()!, error.GetProperty("message").GetString());
        Assert.False(Directory.Exists("/no"));
        if (arguments.Contains("987654321")) Assert.Equal(987654321ul, error.GetProperty("lsn").GetUInt64());
    }

    string SnapshotFile()
    {
        var file = shipped.Place("one.snapshot");
        if (!File.Exists(file)) Recover.Run("snapshot", "create", shipped.Remote, "-o", file).MustEndWith(0);
        return file;
    }

    /// <summary>Nothing is done, and nothing is said to be so, for what was meant otherwise.</summary>
    [Fact]
    public void What_was_mistyped_is_not_taken_for_something_else()
    {
        var (data, plain) = (shipped.Place("mistyped"), shipped.Place("mistyped.db"));
        Recover.Run("restore", shipped.Remote, data).MustEndWith(0);
        Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", plain).MustEndWith(0);
        var (database, lsn, made) = (Path.Combine(data, "a.db"), $"{shipped.Lsns[0]}", shipped.Place("rows"));
        void Says(int code, string what, params string[] arguments) =>
            Assert.Contains(what, Recover.Run(arguments).MustEndWith(code).Errors);

        string[] rows = ["export", database, "-o", made, "--format", "jsonl"];
        Says(3, "There is no file /no/such.jsonl, and", [.. rows, "--since", "/no/such.jsonl"]);
        Says(3, "No table of a.db is called 'nope'. There are: t", [.. rows, "--table", "nope"]);
        Says(2, "an increment goes forward", [.. rows, "--since", $"{shipped.Lsns[1]}", "--at", lsn]);
        Says(3, "copy it with `sqlite3", "export", plain, "-o", made);
        Assert.False(File.Exists(made));

        string[] diff = ["diff", shipped.Remote, "--database", "a.db", "--from", lsn];
        Says(3, "No table of a.db is called 'nope'", [.. diff, "--table", "nope"]);
        Says(2, "give one of them", [.. diff, "--sql", "--json"]);

        Says(2, "Did you mean 'create'?", "snapshot", "creat", shipped.Remote, "-o", made);
        Assert.DoesNotContain("creat", Recover.Run("snapshot", "--list", shipped.Remote).MustEndWith(0).Output);
        Says(2, "is in the future", "rollback", data, "--to", "tomorrow");
        Says(2, $"{plain} is a file", "branch", data, plain);
        Says(2, "Did you mean 'sync-interval'?", "replicate", plain, "file:///no/such", "-o", "sync-intervall=5");
    }

    /// <summary>A branch's directory that was moved does not find its parent's.</summary>
    [Fact]
    public void A_branch_that_was_moved_says_whose_it_is()
    {
        var (parent, branch) = (shipped.CopyOfRemote(), shipped.Place("branch"));
        Recover.Run("branch", "file://" + parent, "file://" + branch).MustEndWith(0);
        var moved = Path.Combine(Directory.CreateDirectory(shipped.Place("elsewhere")).FullName, "deeper", "branch");
        Directory.CreateDirectory(Path.GetDirectoryName(moved)!);
        Directory.Move(branch, moved);
        var said = Recover.Run("restore", "file://" + moved, shipped.Place("moved")).MustEndWith(4).Errors;
        Assert.Contains("is a branch of file://" + parent, said);
    }

    [Theory]
    [InlineData("--row is not known. Did you mean '--rows'?", "--row")]
    [InlineData("--promot is not known. Did you mean '--promote'?", "--promot")]
    [InlineData("/etc/passwd is a file. --into takes a directory.", "--into", "/etc/passwd")]
    public void The_other_program_says_it_as_well(string what, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), shipped.Remote, .. arguments])
        { RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(2, process.ExitCode);
        Assert.Contains(what, said);
    }

    /// <summary>What is there in the place of the store that somebody names tells what they may want.</summary>
    [Fact]
    public void What_is_no_store_is_said_to_be_what_it_is()
    {
        var remote = new Uri(shipped.Remote).LocalPath;
        var (directory, plain) = (shipped.Place("beside"), shipped.Place("plain.db"));
        Recover.Run("restore", shipped.Remote, directory).MustEndWith(0);
        Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", plain).MustEndWith(0);
        string Said(string target) => Recover.Run("status", target).MustEndWith(3).Errors;
        Assert.Contains($"{remote} is a remote, and no store. Write it as a URL: file://{remote}", Said(remote));
        Assert.Contains("recovery replicate", Said(plain));
        Assert.Contains($"There is no database {directory}/nope.db in the store beside it. `recovery databases "
            + $"{directory}` lists them.", Said(Path.Combine(directory, "nope.db")));
        var alone = Path.Combine(Directory.CreateDirectory(shipped.Place("alone")).FullName, "a.db");
        File.Copy(Path.Combine(directory, "a.db"), alone);
        Assert.Contains("names a store that does not exist", Said(alone));
    }

    /// <summary>What follows a mistyped word is no mistake of its own.</summary>
    [Theory]
    [InlineData("There is no command 'statsu'. Did you mean 'status'?", "statsu", "/data", "--json")]
    [InlineData("There is no option '--databse' of recovery restore. Did you mean '--database'?", "restore",
        "file:///remote", "--databse", "app.db", "-o", "/tmp/out.db")]
    public void A_mistyped_word_is_one_mistake(string what, params string[] arguments)
    {
        var said = Recover.Run([.. arguments.Where(a => a != "--json")]).MustEndWith(2).Errors;
        Assert.Equal(what, said.Split('\n')[0]["recovery: ".Length..]);
        Assert.StartsWith("See `recovery", said.Split('\n')[1]);
    }

    static JsonElement ErrorOf(int code, params string[] arguments) =>
        JsonDocument.Parse(Recover.Run([.. arguments, "--json"]).MustEndWith(code).Errors.Split('\n')
            .First(line => line.StartsWith("{\"error\":", StringComparison.Ordinal))).RootElement.GetProperty("error");

    [Fact]
    public void Names_from_elsewhere_do_not_reach_the_terminal_as_they_are()
    {
        var place = shipped.Place("odd\e[31m");
        var said = Recover.Run("status", place).MustEndWith(3).Errors;
        Assert.DoesNotContain('\e', said);
        Assert.Contains(@"\u{1b}[31m", said);
    }

    [Fact]
    public void A_file_that_cannot_be_written_or_read_is_named_without_dotnets_words()
    {
        var said = Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", "/proc/m").MustEndWith(1).Errors
            + Recover.Run("restore", shipped.Remote, "/proc/m").Errors;
        Assert.DoesNotContain("Could not", said);
        Assert.Contains("/proc", said);
    }

    [Fact]
    public void Wide_characters_stand_in_columns()
    {
        var lines = new StringWriter();
        new Output(false, lines, TextWriter.Null)
            .Table(["NAME", "N>"], [["日本語.db", "1"], ["é́.db", "22"], ["plain.db", "3"]]);
        Assert.Equal(["NAME        N", "日本語.db   1", "é́.db       22", "plain.db    3"],
            lines.ToString().TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData(40)]
    [InlineData(20)]
    public void Progress_fits_a_narrow_terminal_and_shows_what_matters_first(int columns)
    {
        var line = Programs.Printable.Fit(Progress.Line("restoring", 300L << 20, 1L << 30, TimeSpan.FromSeconds(10)),
            columns - 1);
        Assert.True(line.Length < columns);
        Assert.StartsWith("restoring  29%", line);
    }
}
