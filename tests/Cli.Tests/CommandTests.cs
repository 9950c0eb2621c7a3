using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;

namespace RecoveryVfs.Cli.Tests;

/// <summary>The other commands.</summary>
public sealed class CommandTests(Shipped shipped) : IClassFixture<Shipped>
{
    public static TheoryData<string> Names =>
        ["restore", "status", "databases", "log", "hints", "verify", "sync", "snapshot", "gc", "salvage", "remote",
            "sql", "import", "export", "delete", "undelete", "promote", "adopt", "check", "doctor", "completion",
            "diff", "history", "at", "branch", "branches", "bookmark", "rollback", "replicate"];

    [Theory]
    [MemberData(nameof(Names))]
    public void Help_teaches_with_an_example(string command)
    {
        var help = Recover.Run(command, "--help").MustEndWith(0).Output;
        Assert.Contains("Usage: recovery " + command, help);
        Assert.Contains("Examples:\n  recovery " + command, help);
        // Examples can be copied as they are.
        Assert.All(help[..help.IndexOf("Examples:", StringComparison.Ordinal)].Split('\n'),
            line => Assert.InRange(line.Length, 0, 100));
    }

    [Fact]
    public void Help_lists_every_command_and_the_exit_codes()
    {
        var help = Recover.Run("--help").MustEndWith(0).Output;
        foreach (var name in Names) Assert.Contains($"\n  {name} ", help);
        Assert.Contains("Exit codes:", help);
    }

    [Theory]
    [InlineData]
    [InlineData("frobnicate")]
    [InlineData("restore")]
    [InlineData("restore", "file:///tmp/x")]
    [InlineData("restore", "file:///tmp/x", "/tmp/y", "-o", "/tmp/z")]
    [InlineData("restore", "file:///tmp/x", "/tmp/y", "--lsn", "soon")]
    [InlineData("restore", "file:///tmp/x", "/tmp/y", "--timestamp", "soon")]
    [InlineData("restore", "file:///tmp/x", "/tmp/y", "--lsn", "1", "--timestamp", "2026-01-01")]
    [InlineData("restore", "file:///tmp/x", "/tmp/y", "--parallelism", "0")]
    [InlineData("restore", "ftp://host/x", "/tmp/y")]
    [InlineData("restore", "s3://", "/tmp/y")]
    [InlineData("status", "file://host/x")]
    [InlineData("log", "file:///tmp/x", "--last", "-1")]
    [InlineData("gc", "file:///tmp/x")]
    [InlineData("snapshot", "a/b", "file:///tmp/x")]
    [InlineData("snapshot")]
    [InlineData("verify", "--nonsense")]
    [InlineData("export", "a.db")]
    public void Garbage_is_refused_with_a_message(params string[] arguments)
    {
        var outcome = Recover.Run(arguments).MustEndWith(2);
        Assert.NotEmpty(outcome.Errors);
        Assert.Empty(outcome.Output);
        Assert.DoesNotContain("System.", outcome.Errors);
    }

    [Fact]
    public void Every_result_comes_as_json()
    {
        foreach (var target in (string[])[shipped.Data, shipped.Remote])
        {
            foreach (var arguments in (string[][])[["status"], ["databases"], ["log"], ["log", "--commits"]])
                _ = Recover.Run([.. arguments, target, "--json"]).MustEndWith(0).Json;
            foreach (var arguments in (string[][])[["hints"], ["verify"], ["verify", "--sample"],
                ["snapshot", "--list"], ["gc", "--dry-run", "--all"]])
                _ = Recover.Run([.. arguments, target, "--json"]).MustEndWith(0).Json;
        }
        Assert.Equal("[]", Recover.Run("salvage", shipped.Data, "--json").MustEndWith(0).Output.Trim());
    }

    [Fact]
    public void Store_and_remote_show_the_same_commits()
    {
        foreach (var target in (string[])[shipped.Data, shipped.Remote])
        {
            var lsns = Recover.Run("log", target, "--commits", "--from", $"{shipped.Lsns[0]}", "--database", "a.db",
                "-n", "0", "--json").MustEndWith(0).Json
                .EnumerateArray().Select(c => c.GetProperty("lsn").GetUInt64()).ToList();
            Assert.Equal(shipped.Lsns, lsns);
        }
    }

    [Fact]
    public void Status_says_when_nothing_is_missing()
    {
        var status = Recover.Run("status", shipped.Data, "--json").MustEndWith(0).Json;
        Assert.Equal("ok", status.GetProperty("state").GetString());
        Assert.Equal(0UL, status.GetProperty("lag_records").GetUInt64());
        Recover.Run("status", Path.GetTempPath()).MustEndWith(3);
    }

    [Fact]
    public void Verify_gives_the_checksums_that_the_store_has()
    {
        var remote = Recover.Run("verify", shipped.Remote, "--json").MustEndWith(0).Json.GetProperty("databases")
            .EnumerateArray()
            .ToDictionary(d => d.GetProperty("name").GetString()!, d => d.GetProperty("checksum").GetString());
        var local = Recover.Run("databases", shipped.Data, "--json").MustEndWith(0).Json.GetProperty("databases")
            .EnumerateArray()
            .ToDictionary(d => d.GetProperty("name").GetString()!, d => d.GetProperty("checksum").GetString());
        Assert.Equal(local, remote);
    }

    [Fact]
    public void A_snapshot_is_put_listed_and_removed()
    {
        var remote = "file://" + shipped.CopyOfRemote();
        Recover.Run("snapshot", "first", remote, "--lsn", $"{shipped.Lsns[1]}", "--expires", "7d", "--note", "before")
            .MustEndWith(0);
        Recover.Run("snapshot", "first", remote).MustEndWith(5);
        var pin = Recover.Run("snapshot", "--list", remote, "--json").MustEndWith(0).Json.EnumerateArray().Single();
        Assert.Equal(("first", shipped.Lsns[1], "before"),
            (pin.GetProperty("name").GetString(), pin.GetProperty("lsn").GetUInt64(),
            pin.GetProperty("note").GetString()));
        Recover.Run("snapshot", "--remove", "first", remote).MustEndWith(0);
        Recover.Run("snapshot", "--remove", "first", remote).MustEndWith(3);
        Recover.Run("snapshot", "late", remote, "--lsn", "99999999").MustEndWith(3);
    }

    [Fact]
    public void A_store_in_use_can_be_looked_at_and_is_left_alone()
    {
        var place = shipped.Place("used");
        Directory.CreateDirectory(place);
        using (var connection = Shipped.Open(place, "a.db"))
        {
            Shipped.Execute(connection, "CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
            var pid = $"pid {Environment.ProcessId}";
            Assert.Contains(pid, Recover.Run("status", place).MustEndWith(0).Output);
            Assert.Contains("a.db", Recover.Run("databases", place).MustEndWith(0).Output);
            Assert.Equal(2, Recover.Run("log", place, "--commits", "--json").MustEndWith(0).Json.GetArrayLength());
            var sync = Recover.Run("sync", "--wait", place, "--remote", "file://" + shipped.Place("r")).MustEndWith(5)
                .Errors;
            Assert.Contains(pid, sync);
            Assert.Contains("no remote", sync);
            var copy = shipped.Place("copy.db");
            Recover.Run("export", Path.Combine(place, "a.db"), "-o", copy).MustEndWith(0);
            Assert.Equal(1, Shipped.RowsOfPlain(copy));
            Shipped.Execute(connection, "INSERT INTO t VALUES (2)");
            Recover.Run("export", Path.Combine(place, "a.db"), "-o", copy, "--force").MustEndWith(0);
            Assert.Equal(2, Shipped.RowsOfPlain(copy));
        }
        Shipped.Close();
    }

    [Fact]
    public void Import_export_and_delete_go_round()
    {
        var (plain, place, back) = (shipped.Place("plain.db"), shipped.Place("imported"), shipped.Place("back.db"));
        using (var connection = new SqliteConnection($"Data Source={plain};Pooling=False"))
        {
            connection.Open();
            Shipped.Execute(connection, "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)");
        }
        Directory.CreateDirectory(place);
        var database = Path.Combine(place, "a.db");
        Recover.Run("import", plain, database).MustEndWith(0);
        Recover.Run("import", plain, database).MustEndWith(2);
        Recover.Run("export", database, "-o", back).MustEndWith(0);
        Assert.Equal(2, Shipped.RowsOfPlain(back));
        Recover.Run("export", database, "-o", back).MustEndWith(2);
        Recover.Run("delete", database).MustEndWith(0);
        Recover.Run("delete", database).MustEndWith(3);
        Assert.False(File.Exists(database));
        Recover.Run("import", plain + "-not-there", database).MustEndWith(3);
    }

    [Fact]
    public void A_database_whose_file_was_removed_is_listed_and_comes_back()
    {
        var place = shipped.Place("removed");
        Directory.CreateDirectory(place);
        var path = Path.Combine(place, "a.db");
        using (var connection = Shipped.Open(place, "a.db"))
            Shipped.Execute(connection, "CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
        Shipped.Close();
        File.Delete(path);
        using (var connection = Shipped.Open(place, "a.db")) Shipped.Execute(connection, "CREATE TABLE u(x)");
        Shipped.Close();
        Assert.DoesNotContain("deleted~", Recover.Run("databases", place).MustEndWith(0).Output);
        Assert.Contains("~a.db", Recover.Run("databases", "--deleted", place).MustEndWith(0).Output);
        Recover.Run("undelete", path).MustEndWith(2);
        Assert.Equal(Path.Combine(place, "old.db"),
            Recover.Run("undelete", path, "--as", "old.db", "--json").MustEndWith(0).Json.GetProperty("undeleted")
            .GetString());
        Assert.Equal(1, Shipped.RowsOfStore(place, "old.db"));
        Recover.Run("undelete", path, "--as", "more.db").MustEndWith(3);
    }

    [Fact]
    public void A_remote_is_set_and_shown()
    {
        var place = shipped.Place("set");
        Directory.CreateDirectory(place);
        var (first, second) = ("file://" + shipped.Place("first"), "file://" + shipped.Place("second"));
        using (var connection = Shipped.Open(place, "a.db", "&sync-interval=20&remote=" + first))
        {
            Shipped.Execute(connection,
                "CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); PRAGMA recovery_sync");
            Assert.Contains("open", Recover.Run("remote", "set", place, second).MustEndWith(5).Errors);
        }
        Shipped.Close();
        Assert.Equal(first, Recover.Run("remote", "show", place).MustEndWith(0).Output.Trim());
        Recover.Run("remote", "set", place, "nonsense").MustEndWith(2);
        Recover.Run("remote", "set", place).MustEndWith(2);
        Recover.Run("remote", "set", place, "none").MustEndWith(0);
        using (var connection = Shipped.Open(place, "a.db"))
            Assert.Equal("none", Shipped.Scalar(connection, "PRAGMA recovery_remote"));
        Shipped.Close();
        var set = Recover.Run("remote", "set", place, second, "--json").MustEndWith(0).Json;
        Assert.Equal(second, set.GetProperty("remote").GetString());
        Assert.Equal(first, set.GetProperty("before")[0].GetString());
        // It begins with all that the store holds, and is remembered.
        using (var connection = Shipped.Open(place, "a.db"))
            Shipped.Execute(connection, "INSERT INTO t VALUES (2); PRAGMA recovery_sync");
        Shipped.Close();
        Assert.StartsWith(second, Recover.Run("remote", "show", place).MustEndWith(0).Output);
        var file = shipped.Place("restored");
        Recover.Run("restore", second, "-o", file).MustEndWith(0);
        Assert.Equal(2, Shipped.RowsOfPlain(file));
        // What the config says counts more.
        File.WriteAllText(Path.Combine(place, ".recovery", "config"), $"remote = {first}\n");
        Assert.Contains("config", Recover.Run("remote", "set", place, second).MustEndWith(2).Errors);
    }

    [Fact]
    public void A_fenced_writers_commits_are_extracted()
    {
        var remote = "file://" + shipped.Place("remote");
        var (old, successor) = (shipped.Place("old"), shipped.Place("successor"));
        Directory.CreateDirectory(old);
        using (var connection = Shipped.Open(old, "a.db"))
            Shipped.Execute(connection, "CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
        Shipped.Close();
        Recover.Run("sync", "--wait", old, "--remote", remote).MustEndWith(0);
        Recover.Run("restore", remote, successor).MustEndWith(0);
        Recover.Run("sync", "--wait", successor, "--remote", remote).MustEndWith(0);
        Assert.Equal("fenced", Recover.Run("status", old, "--json").MustEndWith(1).Json.GetProperty("state")
            .GetString());
        // The old writer went on without reaching the remote; then it does.
        using (Shipped.Unshipped(old))
        using (var connection = Shipped.Open(old, "a.db")) Shipped.Execute(connection, "INSERT INTO t VALUES (2)");
        Shipped.Close();
        Recover.Run("sync", "--wait", old, "--remote", remote).MustEndWith(5);
        var salvaged = Recover.Run("salvage", old, "--json").MustEndWith(0).Json.EnumerateArray().Single();
        Assert.Equal("a.db", salvaged.GetProperty("databases").EnumerateArray().Single().GetString());
        var file = shipped.Place("salvaged");
        Recover.Run("salvage", old, "--extract", "a.db", "-o", file).MustEndWith(0);
        Assert.Equal(2, Shipped.RowsOfPlain(file));
    }

    [Fact]
    public void A_replica_is_brought_up_to_date_and_promoted()
    {
        var place = shipped.Place("replica");
        Recover.Run("restore", shipped.Remote, place, "--lsn", shipped.Lsns[1].ToString(CultureInfo.InvariantCulture))
            .MustEndWith(0);
        Recover.Run("promote", place).MustEndWith(2);
        Replica.Open(new StoreOptions { Directory = Path.Combine(place, ".recovery") }).Dispose();
        Recover.Run("promote", place, "--remote", shipped.Remote).MustEndWith(0);
        Assert.Equal(Shipped.Commits, Shipped.RowsOfStore(place, "a.db"));
        Assert.Equal(3, Shipped.RowsOfStore(place, "w.db"));
    }

    [Fact]
    public void The_demo_comes_back_whole()
    {
        var demo = Recover.Run("demo", shipped.Place("demo"), "--json").MustEndWith(0).Json;
        Assert.True(demo.GetProperty("whole").GetBoolean());
    }
}
