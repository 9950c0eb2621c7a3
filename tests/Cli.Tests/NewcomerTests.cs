using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// What people run into who know SQLite, and not this: other users' files, read-only disks, removed files, narrow
/// terminals.
/// </summary>
public sealed partial class NewcomerTests() : PlaceTests("newcomer")
{
    const string Table = "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (1)";

    static void Do(string directory, string sql, string options = "")
    {
        Directory.CreateDirectory(directory);
        using (var db = Shipped.Open(directory, "a.db", options)) Shipped.Execute(db, sql);
        Shipped.Close();
    }

    static (int Code, string Output) Sh(string script, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("sh", ["-c", script])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    static string Recovery_ => $"dotnet {Path.Combine(AppContext.BaseDirectory, "recovery.dll")}";

    [Theory]
    [InlineData("delete")]
    [InlineData("wal")]
    public void A_writer_whose_remote_is_another_ones_by_now_takes_no_commit(string mode)
    {
        var shipping = "&sync-interval=5&remote=" + Uri.EscapeDataString(Remote);
        Do(Data, $"PRAGMA journal_mode={mode}; {Table}; PRAGMA recovery_sync", shipping);
        Recover.Run("restore", Remote, Place("successor")).MustEndWith(0);
        Do(Place("successor"), "INSERT INTO t(v) VALUES (2); PRAGMA recovery_sync", shipping);
        using (var db = Shipped.Open(Data, "a.db", shipping))
        {
            Assert.ThrowsAny<SqliteException>(() => Shipped.Execute(db, "INSERT INTO t(v) VALUES (3)"));
            Assert.Contains("nother writer", Shipped.Scalar(db, "SELECT recovery_last_error()"));
            Assert.Equal("1", Shipped.Scalar(db, "SELECT count(*) FROM t"));
        }
        Shipped.Close();
        Assert.Equal("[]", Recover.Run("salvage", Data, "--json").MustEndWith(0).Output.Trim());
    }

    /// <summary>As a user who may read the store, and write nothing in it.</summary>
    static string AsNobody(string command) => $"setpriv --reuid 65534 --regid 65534 --clear-groups {command}";

    [Fact]
    public void Export_says_which_right_is_missing()
    {
        if (Environment.UserName != "root") return;
        Do(Data, Table);
        Sh($"chmod 755 {Root}; mkdir -m 777 {Place("out")}");
        var export = AsNobody($"{Recovery_} export {Data}/a.db -o {Place("out")}/x.db");
        Assert.Equal(0, Sh(export, ("HOME", Place("out"))).Code);
        File.Delete(Place("out/x.db"));
        foreach (var (path, mode) in (IEnumerable<(string, int)>)[(Data + "/.recovery", 700),
            (Data + "/.recovery/log", 700), (Data + "/a.db", 600)])
        {
            Sh($"chmod {mode} {path}");
            var (code, said) = Sh(export, ("HOME", Place("out")));
            Sh($"chmod a+rX {path}");
            Assert.Equal(1, code);
            Assert.Contains(path, said);
            Assert.DoesNotContain("restoring", said);
        }
    }

    [Fact]
    public void A_removed_database_comes_back_without_anybody_having_looked()
    {
        Do(Data, "PRAGMA journal_mode=wal; " + Table);
        File.Delete(Data + "/a.db");
        Recover.Run("undelete", Data + "/a.db").MustEndWith(0);
        Assert.Equal(1, Shipped.RowsOfStore(Data, "a.db"));
        File.Delete(Data + "/a.db");
        Recover.Run("undelete", Data + "/a.db", "--as", "b.db").MustEndWith(0);
        Assert.Equal(1, Shipped.RowsOfStore(Data, "b.db"));
        Recover.Run("undelete", Data + "/a.db").MustEndWith(3);
    }

    [Fact]
    public void Sync_of_an_open_store_waits_for_what_can_be_restored()
    {
        // No hints can be made: a file is in their place.
        Directory.CreateDirectory(Place("remote"));
        File.WriteAllText(Place("remote/hints"), "");
        using (var db = Shipped.Open(Data, "a.db", "&sync-interval=5&remote=" + Uri.EscapeDataString(Remote)))
        {
            Shipped.Execute(db, Table);
            var said = Recover.Run("sync", "--wait", "--timeout", "3s", Data).MustEndWith(1).Errors;
            Assert.Contains("cannot be restored yet", said);
            File.Delete(Place("remote/hints"));
            Assert.True(Recover.Run("sync", "--wait", Data, "--json").MustEndWith(0).Json.GetProperty("restorable")
                .GetBoolean());
        }
    }

    [Theory]
    [InlineData("restore", "file:///tmp/x", "/tmp/y", "--lns=5", "--timestmap", "now")]
    [InlineData("log", "-n", "abc", "--smaple", "x", "y")]
    public void A_usage_error_is_one_object_of_json(params string[] arguments)
    {
        var outcome = Recover.Run([.. arguments, "--json"]).MustEndWith(2);
        Assert.Equal("usage", JsonDocument.Parse(outcome.Errors).RootElement.GetProperty("error").GetProperty("kind")
            .GetString());
    }

    [Fact]
    public void A_full_disk_is_said_with_sizes()
    {
        Do(Data, Table
            + "; WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<4000) INSERT INTO t(v) SELECT "
                + "randomblob(1000) FROM c");
        Directory.CreateDirectory(Place("small"));
        var (code, said) =
            Sh($"unshare -m sh -c 'mount -t tmpfs -o size=1m none {Place("small")} && exec {Recovery_} export "
                + $"{Data}/a.db -o {Place("small")}/x.db'");
        if (said.Contains("unshare failed") || said.Contains("mount: ")) return;
        Assert.Equal(1, code);
        Assert.Matches("full.* [0-9,]+ bytes (were needed, and [0-9,]+ )?are free", said);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(100)]
    public void On_a_terminal_each_phase_shows_and_leaves_nothing_behind(int columns)
    {
        Do(Data, Table + "; PRAGMA recovery_sync", "&sync-interval=5&remote=" + Uri.EscapeDataString(Remote));
        var (_, said) =
            Sh($"script -qec 'stty cols {columns} rows 24; {Recovery_} verify {Remote} 1>/dev/null' /dev/null",
            ("TERM", "xterm"));
        string[] phases =
            ["restoring", "reading pages", "closing what was restored", "looking at older hints", "checking extents",
            "listing the log", "reading the log"];
        foreach (var phase in phases) Assert.Contains(phase, said);
        foreach (var line in Drawn().Split(said))
            Assert.True(Programs.Printable.Width(line) < columns, $"too wide for {columns} columns: {line}");
        // What is drawn last is an erasure.
        Assert.EndsWith("\r\e[K", said);
        Assert.DoesNotContain('\n', said.Trim());
    }

    /// <summary>Where the cursor goes back to the first column, and the end of what was drawn.</summary>
    [GeneratedRegex("\r|\n|\e\\[K|\e\\[[0-9;?]*[a-zA-Z]")]
    private static partial Regex Drawn();
}
