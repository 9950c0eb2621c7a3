using System.Diagnostics;
using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary>What the programs say of a store that is not as it should be, and of what is in it.</summary>
public sealed class StateTests() : PlaceTests("state")
{
    /// <summary>Opens, does, and closes.</summary>
    void Do(string directory, string remote, string sql)
    {
        Directory.CreateDirectory(Path.Combine(directory, ".recovery"));
        // A URI does not keep a store from shipping that has a remote; its config does.
        using (remote == "none" ? Shipped.Unshipped(directory) : null)
        using (var db =
            Shipped.Open(directory, "a.db", "&sync-interval=5"
            + (remote == "none" ? "" : "&remote=" + Uri.EscapeDataString(remote))))
            Shipped.Execute(db, sql);
        Shipped.Close();
    }

    static JsonElement Status(string place, int code) => Recover.Run("status", place, "--json").MustEndWith(code).Json;

    static string Text(JsonElement of, string name) => of.GetProperty(name).GetString()!;

    const string Table = "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (1); PRAGMA recovery_sync";

    [Fact]
    public void A_remote_that_was_away_at_the_first_start_is_remembered_and_said_to_be_unreachable()
    {
        var (away, environment) = (Nobody.Url, Nobody.Credentials);
        foreach (var (name, value) in environment)
            Environment.SetEnvironmentVariable(name, Environment.GetEnvironmentVariable(name) ?? value);
        using (var db = Shipped.Open(Data, "a.db", "&remote=" + Uri.EscapeDataString(away)))
            Shipped.Execute(db, "CREATE TABLE t(x)");
        Shipped.Close();
        var status = Recover.RunWith(environment, "status", Data, "--json").MustEndWith(1).Json;
        Assert.Equal(away, Text(status, "remote_url"));
        Assert.Equal("unreachable", Text(status, "state"));
        Assert.NotEmpty(Text(status, "remote_error"));
        Assert.NotEmpty(Text(status, "advice"));
    }

    [Fact]
    public void Commits_that_nobody_is_about_to_ship_are_said_with_what_to_do()
    {
        Do(Data, Remote, Table);
        Assert.Equal("ok", Text(Status(Data, 0), "state"));
        // As after a kill: the remote lacks them, and nobody has the store open.
        Do(Data, "none", "INSERT INTO t(v) VALUES (2); INSERT INTO t(v) VALUES (3)");
        var status = Status(Data, 1);
        Assert.Equal(("unshipped", 2), (Text(status, "state"), status.GetProperty("unshipped_commits").GetInt32()));
        Assert.Equal($"unshipped: 2 commits; run recovery sync {Data}", Text(status, "advice"));
        Recover.Run("sync", "--wait", Data).MustEndWith(0);
        Assert.Equal("ok", Text(Status(Data, 0), "state"));
    }

    [Fact]
    public void A_fenced_writers_commits_are_listed_and_extracted_before_it_knows()
    {
        Do(Data, Remote, Table);
        Recover.Run("restore", Remote, Place("successor")).MustEndWith(0);
        Do(Data, "none", "INSERT INTO t(v) VALUES (2); INSERT INTO t(v) VALUES (3)");
        Do(Place("successor"), Remote,
            "INSERT INTO t(v) VALUES (4); INSERT INTO t(v) VALUES (5); INSERT INTO t(v) VALUES (6); INSERT INTO t(v) "
                + "VALUES (7); PRAGMA recovery_sync");
        var status = Status(Data, 1);
        Assert.Equal(("fenced", 2), (Text(status, "state"), status.GetProperty("unshipped_commits").GetInt32()));
        Assert.True(status.GetProperty("lag_records").GetUInt64() >= 2);
        Assert.True(status.GetProperty("lag_seconds").GetDouble() > 0);
        Assert.Contains("recovery salvage", Text(status, "advice"));
        var entry = Recover.Run("salvage", Data, "--json").MustEndWith(0).Json.EnumerateArray().Single();
        Assert.Equal(2, entry.GetProperty("commits").GetInt32());
        Recover.Run("salvage", Data, "--extract", "a.db", "-o", Place("salvaged.db")).MustEndWith(0);
        Assert.Equal(3, Shipped.RowsOfPlain(Place("salvaged.db")));
        // Once it knows, it has saved them, and they are the same.
        Recover.Run("sync", "--wait", Data).MustEndWith(5);
        Assert.Equal(2, Recover.Run("salvage", Data, "--json").MustEndWith(0).Json.EnumerateArray().Single()
            .GetProperty("commits").GetInt32());
        Assert.True(Status(Data, 1).GetProperty("lag_records").GetUInt64() >= 2);
    }

    [Fact]
    public void Commits_in_wal_mode_are_listed_of_store_and_remote_alike_and_can_be_restored()
    {
        using (var db = Shipped.Open(Data, "a.db", "&sync-interval=5&remote=" + Uri.EscapeDataString(Remote)))
        {
            Shipped.Execute(db,
                "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(id INTEGER PRIMARY KEY)");
            for (var i = 0; i < 5; i++) Shipped.Execute(db, "INSERT INTO t DEFAULT VALUES");
            Shipped.Execute(db, "PRAGMA recovery_sync");
            var lists = ((string[])[Data, Remote])
                .Select(target => Recover.Run("log", target, "--commits", "-n", "5", "--json").MustEndWith(0).Json
                .EnumerateArray().Select(c => c.GetProperty("lsn").GetUInt64()).ToList()).ToList();
            Assert.Equal(5, lists[0].Count);
            Assert.Equal(lists[0], lists[1]);
            Recover.Run("restore", Remote, "-o", Place("two.db"), "--lsn", $"{lists[0][1]}").MustEndWith(0);
            Assert.Equal(2, Shipped.RowsOfPlain(Place("two.db")));
        }
    }

    [Fact]
    public void A_database_that_is_not_there_is_not_found_in_a_log()
    {
        Do(Data, Remote, Table);
        Recover.Run("log", Data, "--database", "a.db").MustEndWith(0);
        foreach (var target in (string[])[Data, Remote])
            Assert.Contains("a.db", Recover.Run("log", target, "--database", "nope.db").MustEndWith(3).Errors);
    }

    [Fact]
    public void An_imported_database_is_listed_with_its_size()
    {
        using (var db = new SqliteConnection($"Data Source={Place("plain.db")};Pooling=False"))
        {
            db.Open();
            Shipped.Execute(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
        }
        Recover.Run("import", Place("plain.db"), Path.Combine(Data, "a.db")).MustEndWith(0);
        var listed = Recover.Run("databases", Data, "--json").MustEndWith(0).Json.GetProperty("databases")
            .EnumerateArray().Single();
        Assert.Equal((8192L, 4096),
            (listed.GetProperty("size_bytes").GetInt64(), listed.GetProperty("page_size").GetInt32()));
        Assert.True(listed.GetProperty("lsn").GetUInt64() > 0);
    }

    [Fact]
    public void A_dry_run_finds_what_the_restore_finds()
    {
        Do(Data, Remote, Table);
        Do(Data, Remote, "INSERT INTO t(v) VALUES (2); PRAGMA recovery_sync");
        foreach (var which in (string[][])[[], ["--timestamp", "now"], ["--timestamp", "+1h"],
            ["--lsn", Text(Recover.Run("log", Remote, "--commits", "-n", "2", "--json").Json[0].GetProperty("lsn"))]])
        {
            string[] arguments = ["restore", Remote, "-o", Place($"dry{string.Concat(which)}.db"), "--json", .. which];
            var dry = Recover.Run([.. arguments, "--dry-run"]).MustEndWith(0);
            var real = Recover.Run(arguments).MustEndWith(0);
            Assert.Equal(real.Json.GetProperty("lsn").GetUInt64(), dry.Json.GetProperty("lsn").GetUInt64());
            Assert.Equal(Text(real.Json, "time"), Text(dry.Json, "time"));
            if (which is [_, "+1h"]) Assert.Contains("in the future", dry.Errors + "\n");
        }
        string[] wrong = ["restore", Remote, "-o", Place("none.db"), "--dry-run"];
        Recover.Run([.. wrong, "--database", "b.db"]).MustEndWith(3);
        Recover.Run([.. wrong, "--lsn", "99999999"]).MustEndWith(3);
        Assert.Contains("before the log", Recover.Run([.. wrong, "--timestamp", "2001-01-01"]).MustEndWith(3).Errors);
    }

    static string Text(JsonElement number) => number.GetRawText();

    [Fact]
    public void A_database_is_exported_from_a_mount_that_is_read_only()
    {
        Do(Data, "none", "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (1)");
        var program = Path.Combine(AppContext.BaseDirectory, "recovery.dll");
        var script = $"mount --bind {Data} {Data} && mount -o remount,ro,bind {Data} && exec dotnet {program} export "
            + $"{Data}/a.db -o {Place("out.db")}";
        using var process =
            Process.Start(new ProcessStartInfo("unshare", ["-m", "sh", "-c", script]) { RedirectStandardError = true })
            !;
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        // Where nobody may mount there is nothing to be seen.
        if (errors.Contains("unshare failed") || errors.Contains("mount: ")) return;
        Assert.True(process.ExitCode == 0, errors);
        Assert.Equal(1, Shipped.RowsOfPlain(Place("out.db")));
    }

    [Fact]
    public void A_follower_says_what_it_follows_and_its_events_come_as_json()
    {
        Do(Data, Remote, Table);
        var (code, output) = Tail(Remote, "--into", Place("follower"), "--once", "--json");
        Assert.Equal(0, code);
        var caughtUp = JsonDocument.Parse(output).RootElement;
        Assert.Equal("caught-up", Text(caughtUp, "event"));
        var status = Status(Place("follower"), 0);
        Assert.Equal(("replica", Remote), (Text(status, "state"), Text(status, "remote_url")));
    }

    [Fact]
    public void Lines_of_commits_go_behind_what_is_in_the_file()
    {
        Do(Data, Remote, Table);
        var log = Place("log");
        File.WriteAllText(log, "what was there\n");
        using var shell =
            Process.Start("sh",
            ["-c", $"{{ echo first; dotnet {Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll")} {Remote} "
                + $"--from start --once; echo last; }} >> {log}"
            + $"; {{ echo again; dotnet {Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll")} {Remote} --from "
            + $"start --once; }} > {log}2"]);
        shell.WaitForExit();
        var lines = File.ReadAllLines(log);
        Assert.Equal(("what was there", "first", "last"), (lines[0], lines[1], lines[^1]));
        Assert.True(lines.Length > 4);
        Assert.Equal("again", File.ReadLines(log + "2").First());
    }

    static (int Code, string Output) Tail(params string[] arguments)
    {
        using var process =
            Process.Start(
            new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), .. arguments])
            {
                RedirectStandardOutput =
                    true
            })
            !;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }
}
