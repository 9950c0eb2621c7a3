using System.Text.Json;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// The programs as users get them: native, on a machine without .NET. What compiling them ahead of time might have left
/// out is missed only when it is used, so everything is used.
/// </summary>
[Collection(S3Collection.Name)]
public sealed class ProgramTests(S3Server server)
{
    /// <summary>Runs SQL on app.db of a directory, through the extension, and closes it.</summary>
    static void Write(string directory, string options, Dictionary<string, string> environment,
        params string[] statements) =>
        Command.RunWith(environment, "/usr/bin/python3", ["-c", $"""
            import sqlite3, sys
            loader = sqlite3.connect(':memory:')
            loader.enable_load_extension(True)
            loader.load_extension('{Repository.Extension}')
            db = sqlite3.connect('file:{directory}/app.db?vfs=recovery{options}', uri=True, isolation_level=None)
            for sql in sys.argv[1:]: db.execute(sql).fetchall()
            db.close()
            """, .. statements]).MustSucceed();

    static int Rows(string file)
        => int.Parse(Command.Run("sqlite3", file, "SELECT count(*) FROM t").MustSucceed().Output);

    [Theory]
    [InlineData("file")]
    [InlineData("s3")]
    public async Task Without_dotnet_a_store_is_restored_and_its_commits_are_shown(string kind)
    {
        using var store = new StoreDirectory();
        using var other = new StoreDirectory();
        var environment = kind == "s3" ? server.Environment : [];
        using var machine = new BareMachine(environment);
        var remote = kind == "s3" ? $"s3://{await server.NewBucketAsync()}/app" : $"file://{other.Path}/remote";
        Write(store.Path, "&remote=" + remote, environment, "CREATE TABLE t(x)", "INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES (2)", "PRAGMA recovery_sync");
        Assert.Equal(["app.db"],
            Strings(machine.Json("restore", remote, Path.Combine(other.Path, "place")).GetProperty("databases")));
        machine.Json("restore", remote, "-o", Path.Combine(other.Path, "plain"));
        Assert.Equal(2, Rows(Path.Combine(other.Path, "plain")));
        Assert.Equal("Everything verifies", machine.Run("recovery", "verify", remote).MustSucceed().Output[..19]);
        var commits = machine.Run("recovery-tail", remote, "--from", "start", "--once", "--json").MustSucceed()
            .Lines.Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal(3,
            commits.Count(c => (c.GetProperty("database").GetString(), c.GetProperty("kind").GetString())
            == ("app.db", "commit")));
    }

    [Fact]
    public void Every_command_gives_its_result_as_JSON()
    {
        using var machine = new BareMachine();
        using var here = new StoreDirectory();
        var (store, remote) =
            (Directory.CreateDirectory(Path.Combine(here.Path, "data")).FullName, $"file://{here.Path}/remote");
        string Place(string name) => Path.Combine(here.Path, name);
        Write(store, "&remote=" + remote, [], "CREATE TABLE t(x)", "INSERT INTO t VALUES (1)", "PRAGMA recovery_sync");

        var lsn = machine.Json("status", store).GetProperty("lsn").GetUInt64();
        Assert.Equal("ok", machine.Json("status", remote).GetProperty("state").GetString());
        foreach (var target in (string[])[store, remote])
        {
            Assert.Equal("app.db", Only(machine.Json("databases", target).GetProperty("databases")).GetProperty("name")
                .GetString());
            Assert.NotEmpty(machine.Json("log", target).EnumerateArray());
            Assert.Equal("app.db",
                Only(machine.Json("log", "--commits", "-n", "1", target).EnumerateArray().Last()
                .GetProperty("databases")).GetProperty("database").GetString());
        }
        var made = machine.Json("log", "--commits", remote)[0].GetProperty("lsn").GetUInt64();
        Assert.Equal(1,
            machine.Json("diff", remote, "--from", $"{made}", "--to", $"{lsn}").GetProperty("after").GetProperty("x")
            .GetInt32());
        Assert.Equal(1,
            machine.Json("at", remote, "--lsn", $"{lsn}", "--query", "SELECT x FROM t")[0].GetProperty("x").GetInt32());
        Assert.Equal(1,
            machine.Json("history", remote, "--table", "t", "--key", "1").GetProperty("row").GetProperty("x")
            .GetInt32());
        Assert.Equal(1,
            machine.Json("sql", Path.Combine(store, "app.db"), "SELECT x FROM t")[0].GetProperty("x").GetInt32());
        var branch = remote.TrimEnd('/') + "-branch";
        Assert.Equal(lsn, machine.Json("branch", remote, branch, "--lsn", $"{lsn}").GetProperty("lsn").GetUInt64());
        Assert.StartsWith("branch-", Only(machine.Json("branches", remote)).GetProperty("pin").GetString());
        Assert.Equal(branch, machine.Json("branch", "--delete", branch).GetProperty("branch").GetString());
        Assert.Equal("full", machine.Json("snapshot", "create", remote, "-o", Place("file")).GetProperty("kind")
            .GetString());
        Assert.Equal("app.db", Strings(machine.Json("snapshot", "restore", Place("file"), Place("from-file"))
            .GetProperty("databases"))[0]);
        Assert.Equal("app.db", Only(machine.Json("snapshot", "verify", Place("file")).GetProperty("databases"))
            .GetProperty("name").GetString());
        var bookmark = machine.Json("bookmark", remote).GetProperty("bookmark").GetString()!;
        Assert.Equal("app.db", Only(machine.Json("rollback", store, "--to", bookmark, "--preview")
            .GetProperty("databases")).GetProperty("database").GetString());
        Assert.Equal(bookmark, machine.Json("rollback", store, "--to", bookmark).GetProperty("to").GetString());
        Assert.Equal("app.db", Only(machine.Json("rollbacks", store)).GetProperty("database").GetString());
        Assert.NotEqual(0UL, machine.Json("hints", remote)[0].GetProperty("epoch").GetUInt64());
        Assert.Equal("app.db", Only(machine.Json("verify", remote).GetProperty("databases")).GetProperty("name")
            .GetString());
        Assert.True(machine.Json("verify", "--sample", remote).GetProperty("sampled").GetBoolean());
        Assert.NotEmpty(machine.Json("gc", "--dry-run", "--all", remote).GetProperty("items").EnumerateArray()
            .Select(i => i.GetProperty("why").GetString()!));
        Assert.False(machine.Json("gc", store).GetProperty("dry_run").GetBoolean());

        Assert.Equal("kept", machine.Json("snapshot", "kept", remote, "--expires", "7d", "--note", "a note")
            .GetProperty("name").GetString());
        Assert.Equal("a note", Only(machine.Json("snapshot", "--list", remote)).GetProperty("note").GetString());
        Assert.Equal("kept", machine.Json("snapshot", "--remove", "kept", remote).GetProperty("name").GetString());

        Assert.True(machine.Json("restore", "--dry-run", remote, Place("successor")).GetProperty("dry_run")
            .GetBoolean());
        Assert.True(machine.Json("restore", "--integrity-check", "full", remote, Place("successor")).GetProperty("lsn")
            .GetUInt64() >= lsn);
        Assert.False(machine.Json("restore", "--if-db-not-exists", remote, Place("successor")).GetProperty("restored")
            .GetBoolean());

        // The successor takes over; the old writer goes on without reaching the remote, then it does.
        Assert.True(machine.Json("sync", "--wait", Place("successor"), "--remote", remote).GetProperty("shipped_lsn")
            .GetUInt64() >= lsn);
        Write(store, "", new() { ["RECOVERY_REMOTE"] = "none" }, "INSERT INTO t VALUES (2)");
        Assert.Equal(5, machine.Run("recovery", "sync", "--wait", store, "--remote", remote).ExitCode);
        Assert.Equal(["app.db"], Strings(Only(machine.Json("salvage", store)).GetProperty("databases")));
        Assert.Equal("app.db", machine.Json("salvage", store, "--extract", "app.db", "-o", Place("salvaged"))
            .GetProperty("database").GetString());
        Assert.Equal(2, Rows(Place("salvaged")));

        machine.Run("recovery-tail", remote, "--into", Place("replica"), "--once").MustSucceed();
        Assert.Equal(["app.db"],
            Strings(machine.Json("promote", Place("replica"), "--remote", remote).GetProperty("databases")));

        Directory.CreateDirectory(Place("imported"));
        Assert.Equal(Place("imported/a.db"),
            machine.Json("import", Place("salvaged"), Place("imported/a.db")).GetProperty("database").GetString());
        Assert.NotEqual(0, machine.Json("export", Place("imported/a.db"), Place("exported")).GetProperty("size_bytes")
            .GetInt64());
        Assert.Equal(2, Rows(Place("exported")));
        var mirrored = machine.Json("replicate", Place("exported"), $"file://{Place("mirrored")}", "--once")[0];
        Assert.Equal(Place("exported"), Only(mirrored.GetProperty("databases")).GetString());
        Assert.NotEqual(0UL, mirrored.GetProperty("shipped_lsn").GetUInt64());
        Assert.Equal(Place("imported/a.db"),
            machine.Json("delete", Place("imported/a.db")).GetProperty("deleted").GetString());

        Assert.NotEmpty(machine.Json("check", remote).GetProperty("findings").EnumerateArray());
        Assert.NotEmpty(machine.Json("doctor", Place("imported")).GetProperty("findings").EnumerateArray());
        Assert.Equal("none", machine.Json("remote", "show", Place("imported")).GetProperty("remote").GetString());
        Assert.NotEqual(0UL, machine.Json("adopt", Place("imported")).GetProperty("lsn").GetUInt64());

        // Whoever removes the file and goes on has a new database; the old one comes back beside it.
        var careless = Directory.CreateDirectory(Place("careless")).FullName;
        Write(careless, "", [], "CREATE TABLE t(x)");
        File.Delete(Path.Combine(careless, "app.db"));
        Write(careless, "", [], "CREATE TABLE u(x)");
        Assert.Equal(Place("careless/old.db"),
            machine.Json("undelete", Place("careless/app.db"), "--as", "old.db").GetProperty("undeleted").GetString());
        Assert.True(machine.Json("demo", Place("demo")).GetProperty("whole").GetBoolean());

        var help = machine.Run("recovery", "--help").MustSucceed().Lines;
        var listed = help.SkipWhile(l => l != "Commands:").Skip(1)
            .TakeWhile(l => l.StartsWith("  ", StringComparison.Ordinal))
            // What is said of a command may go on below.
            .Where(l => l[2] != ' ')
            .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[0]);
        // A completion is a script, not a result.
        Assert.Equal([.. listed.Except(["completion"]).Append("demo").Order()], machine.Commands.Order());
    }

    [Theory]
    [InlineData("--version", 0)]
    [InlineData("frobnicate", 2)]
    [InlineData("restore file:///nowhere /tmp/x --lsn soon", 2)]
    [InlineData("restore file:///nowhere /tmp/x --integrity-check thorough", 2)]
    [InlineData("restore file:///nowhere /tmp/x", 3)]
    public void Arguments_are_read_as_ever(string line, int code)
    {
        using var machine = new BareMachine();
        var outcome = machine.Run("recovery", line.Split(' '));
        Assert.Equal(code, outcome.ExitCode);
        Assert.DoesNotContain("System.", outcome.Output + outcome.Errors);
        Assert.NotEmpty(outcome.Output + outcome.Errors);
    }

    [Fact]
    public async Task A_follower_answers_health_checks_runs_a_program_and_ends_at_a_signal()
    {
        using var machine = new BareMachine();
        using var here = new StoreDirectory();
        var remote = $"file://{here.Path}/remote";
        Write(here.Path, "&remote=" + remote, [], "CREATE TABLE t(x)", "PRAGMA recovery_sync");
        Assert.Equal(7,
            machine.Run("recovery-tail", remote, "--into", Path.Combine(here.Path, "replica"), "--exec", "exit 7")
            .ExitCode);

        var address = $"127.0.0.1:{S3Server.FreePort()}";
        using var follower =
            machine.Start("recovery-tail", remote, "--into", Path.Combine(here.Path, "replica"), "--listen", address);
        var errors = follower.StandardError.ReadToEndAsync();
        Assert.StartsWith("caught up at LSN ", await follower.StandardOutput.ReadLineAsync());
        using var client = new HttpClient();
        Assert.Equal("following\n", await client.GetStringAsync($"http://{address}/ready"));
        Assert.Contains("recovery_follower_caught_up 1\n", await client.GetStringAsync($"http://{address}/metrics"));
        Command.Run("/bin/sh", "-c", $"kill -TERM {follower.Id}").MustSucceed();
        await follower.WaitForExitAsync();
        Assert.Equal((0, ""), (follower.ExitCode, await errors));
    }

    static JsonElement Only(JsonElement array) => array.EnumerateArray().Single();

    static string[] Strings(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetString()!)];
}
