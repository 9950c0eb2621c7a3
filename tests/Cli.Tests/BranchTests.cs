using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary><c>recovery branch</c> and <c>branches</c>, and what is done with a branch by the other commands.</summary>
public sealed class BranchTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-branch-").FullName;

    public BranchTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    string Place(string name) => Path.Combine(root, name);

    string Remote(string name) => "file://" + Place("remotes/" + name);

    SqliteConnection Open(string directory, string remote)
    {
        Directory.CreateDirectory(Place(directory));
        return Shipped.Open(Place(directory), "a.db",
            "&sync-interval=20&remote=" + Uri.EscapeDataString(Remote(remote)));
    }

    const string Sum = "SELECT sum(x) FROM t";

    [Fact]
    public void A_branch_is_restored_written_followed_branched_reset_and_deleted()
    {
        var (app, test, deep) = (Remote("app"), Remote("test"), Remote("deep"));
        ulong before;
        using (var db = Open("app", "app"))
        {
            Shipped.Execute(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA recovery_sync");
            before = ulong.Parse(Shipped.Scalar(db, "PRAGMA recovery_lsn"));
            Shipped.Execute(db, "INSERT INTO t VALUES(10); PRAGMA recovery_sync");

            var made = Recover.Run("branch", app, test, "--lsn", $"{before}", "--expires", "7d", "--json")
                .MustEndWith(0).Json;
            Assert.Equal(before, made.GetProperty("lsn").GetUInt64());
            Assert.False(made.GetProperty("is_copy").GetBoolean());
            Assert.Contains("already", Recover.Run("branch", app, test).MustEndWith(2).Errors);
            Recover.Run("restore", test, Place("test")).MustEndWith(0);
            using (var branched = Open("test", "test"))
            {
                Assert.Equal("1", Shipped.Scalar(branched, Sum));
                Shipped.Execute(branched, "INSERT INTO t VALUES(100); PRAGMA recovery_sync");
            }
            // The parent has not noticed.
            Assert.Equal("11", Shipped.Scalar(db, Sum));
        }
        Shipped.Close();
        Assert.Equal("101\n", Recover.Run("at", test, "--timestamp", "now", "-q", Sum).MustEndWith(0).Output);
        Assert.Equal("11\n", Recover.Run("at", app, "--timestamp", "now", "-q", Sum).MustEndWith(0).Output);
        Recover.TailWith([], test, "--into", Place("follower/.recovery"), "--once").MustEndWith(0);
        using (var followed = Shipped.Open(Place("follower"), "a.db", "&mode=ro"))
            Assert.Equal("101", Shipped.Scalar(followed, Sum));
        Recover.Run("verify", test).MustEndWith(0);
        Assert.Contains("+ t(", Recover.Run("diff", test, "--from", $"{before}").MustEndWith(0).Output);

        Assert.Contains("expires", Recover.Run("branch", test, deep).MustEndWith(2).Errors);
        Recover.Run("branch", test, deep, "--expires", "1d").MustEndWith(0);
        Assert.Equal("101\n", Recover.Run("at", deep, "--timestamp", "now", "-q", Sum).MustEndWith(0).Output);
        Assert.Contains("test", Recover.Run("branches", app).MustEndWith(0).Output);
        foreach (string[] end in (string[][])[["--delete", test], [app, test, "--reset"]])
            Assert.Contains(deep, Recover.Run(["branch", .. end]).MustEndWith(5).Errors);
        Recover.Run("branch", "--delete", deep).MustEndWith(0);
        Assert.Equal(0, Recover.Run("branches", test, "--json").MustEndWith(0).Json.GetArrayLength());

        Recover.Run("branch", app, test, "--reset").MustEndWith(0);
        Assert.Equal("11\n", Recover.Run("at", test, "--timestamp", "now", "-q", Sum).MustEndWith(0).Output);
        // The directory of the branch as it was is another log's now.
        Assert.Contains("another log", Recover.Run("sync", "--wait", Place("test")).Errors);
        Recover.Run("branch", "--delete", test).MustEndWith(0);
        Assert.Empty(Directory.EnumerateFiles(Place("remotes/test"), "*.json", SearchOption.AllDirectories));
        Assert.Empty(Directory.EnumerateFiles(Place("remotes/app/pins")));
        Assert.Contains("no branch", Recover.Run("branch", "--delete", app).MustEndWith(2).Errors);
    }

    [Fact]
    public void A_store_becomes_two_that_share_what_is_sealed()
    {
        using (var db = Open("app", "app"))
        {
            Shipped.Execute(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
            Shipped.Execute(db, "PRAGMA recovery_checkpoint; INSERT INTO t VALUES(10)");
            // This process has it open.
            var lsn = ulong.Parse(Shipped.Scalar(db, "PRAGMA recovery_lsn"));
            var made = Recover.Run("branch", Place("app"), Place("two"), "--json").MustEndWith(0).Json;
            Assert.True(made.GetProperty("lsn").GetUInt64() >= lsn);
        }
        Shipped.Close();
        var table = Directory.EnumerateFiles(Place("two/.recovery/pages"), "*.sst").First();
        Assert.True(File.Exists(table.Replace("/two/", "/app/", StringComparison.Ordinal)));
        using (var two = Shipped.Open(Place("two"), "a.db"))
        {
            Assert.Equal("11", Shipped.Scalar(two, Sum));
            Shipped.Execute(two, "INSERT INTO t VALUES(100)");
            Assert.Equal("ok", Shipped.Scalar(two, "PRAGMA recovery_verify"));
            Assert.Equal("none", Shipped.Scalar(two, "PRAGMA recovery_remote"));
            Shipped.Execute(two, "PRAGMA recovery_compact; PRAGMA recovery_checkpoint");
        }
        Shipped.Close();
        using (var app = Open("app", "app"))
        {
            Assert.Equal("11", Shipped.Scalar(app, Sum));
            Shipped.Execute(app, "DELETE FROM t; VACUUM; PRAGMA recovery_sync");
            Assert.Equal("ok", Shipped.Scalar(app, "PRAGMA recovery_verify"));
        }
        Shipped.Close();
        using (var two = Shipped.Open(Place("two"), "a.db")) Assert.Equal("111", Shipped.Scalar(two, Sum));
        // Its sister's remote is not its own.
        Shipped.Close();
        Assert.Equal(2, Recover.Run("sync", "--wait", Place("two"), "--remote", Remote("app")).ExitCode);
        Assert.Contains("already", Recover.Run("branch", Place("app"), Place("two")).MustEndWith(2).Errors);
    }

    [Fact]
    public void A_running_store_is_branched_in_its_remote_as_it_is_now_and_one_without_is_shipped_whole()
    {
        using (var db = Open("app", "app"))
        {
            Shipped.Execute(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA recovery_sync");
            Shipped.Execute(db, "INSERT INTO t VALUES(10)");
            var lsn = ulong.Parse(Shipped.Scalar(db, "PRAGMA recovery_lsn"));
            var made = Recover.Run("branch", Place("app"), Remote("test"), "--json").MustEndWith(0).Json;
            Assert.True(made.GetProperty("lsn").GetUInt64() >= lsn);
        }
        Assert.Equal("11\n", Recover.Run("at", Remote("test"), "--timestamp", "now", "-q", Sum).MustEndWith(0).Output);
        Directory.CreateDirectory(Place("lone"));
        using (var db = Shipped.Open(Place("lone"), "a.db"))
        {
            Shipped.Execute(db, "CREATE TABLE t(x); INSERT INTO t VALUES(2)");
            Assert.True(Recover.Run("branch", Place("lone"), Remote("whole"), "--json").MustEndWith(0).Json
                .GetProperty("is_copy").GetBoolean());
            Assert.Contains("--expires", Recover.Run("branch", Place("lone"), Remote("w2"), "--expires", "1d")
                .MustEndWith(2).Errors);
        }
        Assert.Equal("2\n", Recover.Run("at", Remote("whole"), "--timestamp", "now", "-q", Sum).MustEndWith(0).Output);
    }

    [Fact]
    public void Who_knows_no_branches_refuses_one_and_an_expired_one_says_so()
    {
        using (var db = Open("app", "app"))
            Shipped.Execute(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA recovery_sync");
        Shipped.Close();
        Recover.Run("branch", Remote("app"), Remote("test")).MustEndWith(0);
        var store = Place("remotes/test/store.json");
        Assert.Contains("\"format\": 2", File.ReadAllText(store));
        // What a program of today says of the next format is what one of yesterday says of this.
        var text = File.ReadAllText(store);
        File.WriteAllText(store, text.Replace("\"format\": 2", "\"format\": 99"));
        Assert.Contains("newer", Recover.Run("restore", Remote("test"), Place("r")).MustEndWith(4).Errors);
        File.WriteAllText(store, text.Replace("\"expires\": null", "\"expires\": \"2020-01-01T00:00:00Z\""));
        foreach (var extent in Directory.EnumerateFiles(Place("remotes/app/extents"))) File.Delete(extent);
        var expired = Recover.Run("restore", Remote("test"), Place("r"));
        if (Directory.Exists(Place("remotes/test/hints")))
            Assert.Contains("has expired", expired.MustEndWith(3).Errors);
    }

    /// <summary>
    /// Who may write to a branch says what its parent is, and which pin there is its own; who may put a pin says where
    /// a branch is.
    /// </summary>
    [Fact]
    public void What_a_branch_says_of_its_parent_harms_nobody()
    {
        var (app, test, other) = (Remote("app"), Remote("test"), Remote("other"));
        foreach (var name in (string[])["app", "other"])
        {
            using (var db = Open(name, name)) Shipped.Execute(db, "CREATE TABLE t(x); PRAGMA recovery_sync");
            Shipped.Close();
        }
        Recover.Run("snapshot", "precious", other).MustEndWith(0);
        Recover.Run("branch", app, test).MustEndWith(0);
        var store = Place("remotes/test/store.json");
        var told = File.ReadAllText(store);
        var own = System.Text.Json.JsonDocument.Parse(told).RootElement.GetProperty("branch").GetProperty("pin")
            .GetString()!;
        void MustBeRefused(string parent, string pin, string because)
        {
            File.WriteAllText(store, told.Replace(app, parent).Replace(own, pin));
            Assert.Contains(because, Recover.Run("branch", "--delete", test).MustEndWith(2).Errors);
            Assert.True(File.Exists(store));
        }
        MustBeRefused(other, "precious", "nothing was deleted");
        MustBeRefused("s3://bucket/thief?endpoint=http://127.0.0.1:1", own, "another place altogether");
        // Another branch's pin, in the same parent.
        var second = Remote("second");
        Recover.Run("branch", app, second).MustEndWith(0);
        var theirs = Directory.GetFiles(Place("remotes/app/pins")).Select(Path.GetFileName)
            .Single(p => p!.StartsWith("branch-", StringComparison.Ordinal) && p != own)!;
        MustBeRefused(app, theirs, second);
        Assert.True(File.Exists(Place("remotes/other/pins/precious")));
        File.WriteAllText(store, told);

        var pin = Place("remotes/app/pins/" + theirs);
        File.WriteAllText(pin, File.ReadAllText(pin).Replace(second, "s3://bucket/thief?endpoint=http://127.0.0.1:1"));
        Assert.Contains("not looked at", Recover.Run("branches", app).MustEndWith(0).Output);
        Recover.Run("branch", "--delete", test).MustEndWith(0);
        Assert.False(File.Exists(Place("remotes/app/pins/" + own)));
    }
}
