using System.Globalization;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// <c>recovery bookmark</c>, <c>rollback</c> and <c>rollbacks</c> beside an application that has the store open, and
/// <c>recovery log --around</c>.
/// </summary>
public sealed class RollbackTests() : PlaceTests("rollback")
{
    /// <summary>An application that has the store open.</summary>
    SqliteConnection Application()
    {
        var db = Shipped.Open(Data, "a.db", "&sync-interval=20&remote=" + Uri.EscapeDataString(Remote));
        Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'one'), (2, 'two')");
        return db;
    }

    static long LsnOf(string bookmark) =>
        long.Parse(bookmark[(bookmark.LastIndexOf('-') + 1)..], CultureInfo.InvariantCulture);

    static string Count(SqliteConnection db) => Shipped.Scalar(db, "SELECT count(*) FROM t");

    [Fact]
    public void A_mistake_is_found_previewed_taken_back_and_the_taking_back_undone()
    {
        using var db = Application();
        string[] given =
        [
            Recover.Run("bookmark", Data).MustEndWith(0).Output.Trim(),
            Shipped.Scalar(db, "PRAGMA recovery_bookmark"),
        ];
        var noon = DateTimeOffset.UtcNow;
        // The mistake is made a moment later by the clock.
        while (DateTimeOffset.UtcNow - noon < TimeSpan.FromMilliseconds(5)) Thread.Yield();
        Shipped.Execute(db, "DELETE FROM t; CREATE TABLE u(x)");
        Shipped.Execute(db, "PRAGMA recovery_sync");
        var time = noon.ToString("O", CultureInfo.InvariantCulture);

        // Records of the page store's files may have followed those that were given.
        var before = Recover.Run("bookmark", Remote, "--time", time).MustEndWith(0).Output.Trim();
        Assert.All(given, g => Assert.InRange(LsnOf(g), 1, LsnOf(before)));
        Assert.All(given, g => Assert.Equal(before[..before.LastIndexOf('-')], g[..g.LastIndexOf('-')]));
        Assert.Equal(before, Recover.Run("bookmark", Data, "--time", time, "--json").MustEndWith(0).Json
            .GetProperty("bookmark").GetString());
        foreach (var place in (string[])[Data, Remote])
        {
            var near = Recover.Run("log", place, "--around", time, "--last", "2", "--json").MustEndWith(0).Json;
            Assert.Equal(2, near.GetArrayLength());
            Assert.True(near[0].GetProperty("time").GetDateTimeOffset() <= noon);
            Assert.True(near[1].GetProperty("time").GetDateTimeOffset() > noon);
        }
        var preview = Recover.Run("rollback", Data, "--to", before, "--preview", "--json").MustEndWith(0).Json
            .GetProperty("databases")[0];
        Assert.NotEqual(0, preview.GetProperty("pages").GetInt64());
        Assert.Equal(("t", 2), (preview.GetProperty("tables")[0].GetProperty("table").GetString(),
            preview.GetProperty("tables")[0].GetProperty("inserted").GetInt32()));
        Assert.Contains("- table u", Recover.Run("rollback", Data, "--to", time, "--preview").MustEndWith(0).Output);
        Assert.Equal("0", Count(db));

        var done = Recover.Run("rollback", Data, "--to", time, "--json").MustEndWith(0).Json;
        Assert.Equal(before, done.GetProperty("to").GetString());
        Assert.Equal("2", Count(db));
        Assert.Equal("1", Shipped.Scalar(db, "SELECT count(*) FROM sqlite_schema"));
        Assert.Contains("like that already", Recover.Run("rollback", Data, "--to", before).MustEndWith(0).Output);
        Recover.Run("rollback", Data, "--to", done.GetProperty("undo").GetString()!, "--database", "a.db")
            .MustEndWith(0);
        Assert.Equal("0", Count(db));
        var list = Recover.Run("rollbacks", Data, "--json").MustEndWith(0).Json;
        Assert.Equal(3, list.GetArrayLength());
        Assert.Equal(done.GetProperty("undo").GetString(), list[0].GetProperty("undo").GetString());
        Assert.Contains(before, Recover.Run("rollbacks", Data).MustEndWith(0).Output);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Data, ".recovery"), ".rollback*"));
    }

    [Fact]
    public void Named_moments_are_restored_and_asked()
    {
        using var db = Application();
        Shipped.Execute(db, "PRAGMA recovery_sync");
        Recover.Run("snapshot", "before", Remote).MustEndWith(0);
        var bookmark = Shipped.Scalar(db, "PRAGMA recovery_bookmark");
        Shipped.Execute(db, "DELETE FROM t");
        Shipped.Execute(db, "PRAGMA recovery_sync");
        string[][] moments = [["--snapshot", "before"], ["--bookmark", bookmark]];
        foreach (var moment in moments)
            Assert.Equal("2\n", Recover.Run(["at", Remote, .. moment, "-q", "SELECT count(*) FROM t"]).MustEndWith(0)
                .Output);
        Recover.Run("restore", Remote, "-o", Place("plain"), "--snapshot", "before").MustEndWith(0);
        Assert.Contains("one of them",
            Recover.Run(["restore", Remote, "-o", Place("p"), .. moments[0], .. moments[1]]).MustEndWith(2)
                .Errors);
        Assert.Contains("no snapshot nope", Recover.Run("at", Remote, "--snapshot", "nope", "-q", "SELECT 1")
            .MustEndWith(3).Errors);
        Assert.Contains("no bookmark", Recover.Run("at", Remote, "--bookmark", "x", "-q", "SELECT 1").MustEndWith(2)
            .Errors);
        Assert.Contains("+ t(id=1",
            Recover.Run("diff", Remote, "--from", "now", "--to", bookmark).MustEndWith(0).Output);
    }

    [Fact]
    public void Several_databases_go_back_through_the_socket_by_one_commit()
    {
        using var db = Application();
        using var other = Shipped.Open(Data, "b.db");
        Shipped.Execute(other, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        var before = Recover.Run("bookmark", Data).MustEndWith(0).Output.Trim();
        Shipped.Execute(db, "DELETE FROM t");
        Shipped.Execute(other, "DELETE FROM t");
        var done = Recover.Run("rollback", Data, "--to", before, "--json").MustEndWith(0).Json;
        Assert.Equal(("2", "1"), (Count(db), Count(other)));
        var lsns = done.GetProperty("databases").EnumerateArray().Select(d => d.GetProperty("lsn").GetUInt64());
        Assert.Single(lsns.Distinct());
        Recover.Run("rollback", Data, "--to", done.GetProperty("undo").GetString()!).MustEndWith(0);
        Assert.Equal(("0", "0"), (Count(db), Count(other)));
        Assert.Equal(4, Recover.Run("rollbacks", Data, "--json").MustEndWith(0).Json.GetArrayLength());
    }

    [Fact]
    public void Nothing_but_what_a_roll_back_has_made_is_taken_through_the_socket()
    {
        using var db = Application();
        // It listens soon after the store has opened.
        Recover.Run("sql", Path.Combine(Data, "a.db"), "SELECT 1", "--write").MustEndWith(0);
        using var client = RecoveryVfs.Statements.SqlClient.TryConnect(Path.Combine(Data, ".recovery"), "a.db",
            TimeSpan.FromSeconds(30))!;
        foreach (var name in (string[])["LOCK", "../a.db", ".rollback.restoring/past-01", ".rollback.restoring/../x-1"])
            Assert.Contains("is no file", Assert.ThrowsAny<Exception>(() => client.Replace([("a.db", name)])).Message);
        foreach (var (file, database) in (
            (string, string)[])[("LOCK", "b.db"), (".rollback.restoring/past-1", "../b.db"), ("x\ny", "b.db")])
            Assert.ThrowsAny<Exception>(
                () => client.Replace([("a.db", ".rollback.restoring/past-0"), (database, file)]));
        Assert.Equal("2", Count(db));
    }
}
