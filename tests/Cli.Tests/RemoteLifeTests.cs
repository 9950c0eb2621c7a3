using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// The life of a store and its remote as a user sees it, through connections and the program alone: on a directory and
/// on a real S3 server.
/// </summary>
public abstract class RemoteLifeTests : IDisposable
{
    protected RemoteLifeTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    readonly string root = Directory.CreateTempSubdirectory("recovery-life-").FullName;

    public virtual void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    protected abstract string NewRemote();

    protected abstract Dictionary<string, string> Environment { get; }

    private protected Outcome Run(params string[] arguments) => Recover.RunWith(Environment, arguments);

    protected string Place(string name) => Path.Combine(root, name);

    /// <summary>The remote as a part of a connection's URI.</summary>
    static string With(string remote) => "&sync-interval=20&remote=" + Uri.EscapeDataString(remote);

    protected SqliteConnection Open(string place, string remote, string more = "")
    {
        Directory.CreateDirectory(Place(place));
        return Shipped.Open(Place(place), "a.db", With(remote) + more);
    }

    static long Rows(SqliteConnection connection)
        => long.Parse(Shipped.Scalar(connection, "SELECT count(*) FROM t"), CultureInfo.InvariantCulture);

    static ulong Insert(SqliteConnection connection, int rows)
    {
        for (var i = 0; i < rows; i++) Shipped.Execute(connection, "INSERT INTO t(v) VALUES (randomblob(300))");
        return ulong.Parse(Shipped.Scalar(connection, "PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
    }

    const string Table = "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)";

    [Fact]
    public void Written_lost_restored_at_any_commit_verified_and_taken_over()
    {
        var remote = NewRemote();
        ulong ten, all;
        DateTimeOffset time;
        using (var db = Open("data", remote, "&durability=remote"))
        {
            Shipped.Execute(db, Table);
            ten = Insert(db, 10);
            time = DateTimeOffset.UtcNow;
            Assert.True(SpinWait.SpinUntil(() => DateTimeOffset.UtcNow > time.AddMilliseconds(2), 1000));
            all = Insert(db, 10);
            Assert.True(ulong.Parse(Shipped.Scalar(db, "PRAGMA recovery_remote_lsn"),
                CultureInfo.InvariantCulture) >= all);
            Assert.Equal("ok", Shipped.Scalar(db, "PRAGMA recovery_verify=remote"));
            Assert.Contains("remote_healthy: yes", Shipped.Scalar(db, "PRAGMA recovery_status"));
        }
        Shipped.Close();
        Assert.Equal("ok", Run("status", Place("data"), "--json").MustEndWith(0).Json.GetProperty("state").GetString());
        Assert.Equal("ok", Run("status", Place("data"), "--json").Json.GetProperty("verification").GetProperty("result")
            .GetString());
        Run("status", remote).MustEndWith(0);
        Run("verify", remote).MustEndWith(0);
        Run("verify", remote, "--sample").MustEndWith(0);
        foreach (var command in (string[])["databases", "log", "hints"])
            _ = Run(command, remote, "--json").MustEndWith(0).Json;

        Directory.Delete(Place("data"), recursive: true);
        Run("restore", remote, "-o", Place("ten.db"), "--lsn", $"{ten}").MustEndWith(0);
        Assert.Equal(10, Shipped.RowsOfPlain(Place("ten.db")));
        Run("restore", remote, "--database", "a.db", "-o", Place("then.db"), "--timestamp",
            time.ToString("O", CultureInfo.InvariantCulture)).MustEndWith(0);
        Assert.Equal(10, Shipped.RowsOfPlain(Place("then.db")));
        Run("restore", remote, Place("data"), "--integrity-check", "full").MustEndWith(0);
        Run("restore", remote, Place("data"), "--if-db-not-exists").MustEndWith(0);
        Assert.Equal("[]", Run("snapshot", "--list", remote, "--json").MustEndWith(0).Output.Trim());
        using (var db = Open("data", remote, "&durability=remote"))
        {
            Assert.Equal(20, Rows(db));
            Insert(db, 5);
        }
        Shipped.Close();
        Run("restore", remote, "-o", Place("after.db")).MustEndWith(0);
        Assert.Equal(25, Shipped.RowsOfPlain(Place("after.db")));
    }

    [Fact]
    public void A_lost_directory_comes_back_when_it_is_opened_if_so_configured()
    {
        var remote = NewRemote();
        using (var db = Open("data", remote))
        {
            Shipped.Execute(db, Table);
            Insert(db, 7);
            Shipped.Execute(db, "PRAGMA recovery_sync");
        }
        Shipped.Close();
        Directory.Delete(Place("data"), recursive: true);
        using (var db = Open("data", remote, "&auto-restore=on")) Assert.Equal(7, Rows(db));
        Shipped.Close();
        // Where nothing ever was, there is nothing to restore.
        using (var db = Open("new", NewRemote(), "&auto-restore=on")) Shipped.Execute(db, Table);
    }

    [Fact]
    public void Sync_waits_for_the_process_that_has_the_store_open_and_says_when_it_does_not_ship()
    {
        var remote = NewRemote();
        using (var db = Open("open", remote))
        {
            Shipped.Execute(db, Table);
            for (var round = 1; round <= 3; round++)
            {
                Insert(db, 5);
                var lsn = ulong.Parse(Shipped.Scalar(db, "PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
                var waited = Run("sync", "--wait", Place("open"), "--json").MustEndWith(0).Json;
                Assert.InRange(lsn, 1ul, waited.GetProperty("shipped_lsn").GetUInt64());
                Run("restore", remote, "-o", Place($"at-{round}.db"), "--lsn",
                    lsn.ToString(CultureInfo.InvariantCulture)).MustEndWith(0);
                Assert.Equal(5 * round, Shipped.RowsOfPlain(Place($"at-{round}.db")));
            }
            Assert.Contains("ships to", Run("sync", "--wait", "--restart", Place("open")).MustEndWith(5).Errors);
        }
        Shipped.Close();
        using (var db = Shipped.Open(Place("open"), "a.db", "&sync-interval=600000"))
        {
            Insert(db, 1);
            Assert.Contains("did not ship", Run("sync", "--wait", "--timeout", "1s", Place("open")).MustEndWith(1)
                .Errors);
        }
        Shipped.Close();
    }

    [Fact]
    public void Two_writers_one_is_fenced_and_what_it_had_is_extracted()
    {
        var remote = NewRemote();
        using (var db = Open("old", remote))
        {
            Shipped.Execute(db, Table);
            Insert(db, 3);
            Shipped.Execute(db, "PRAGMA recovery_sync");
            Run("restore", remote, Place("new")).MustEndWith(0);
            Run("sync", "--wait", Place("new"), "--remote", remote).MustEndWith(0);
            Assert.Contains("taken", Run("sync", "--wait", Place("old")).MustEndWith(5).Errors);
            var error = Assert.Throws<SqliteException>(() =>
            {
                for (var i = 0; i < 1000; i++) Insert(db, 1);
                Shipped.Execute(db, "PRAGMA recovery_sync");
                Insert(db, 1);
            });
            Assert.Contains("writer", error.Message + Recovery.LastError);
        }
        Shipped.Close();
        Assert.Equal("fenced", Run("status", Place("old"), "--json").MustEndWith(1).Json.GetProperty("state")
            .GetString());
        var salvaged = Run("salvage", Place("old"), "--json").MustEndWith(0).Json.EnumerateArray().Single();
        Assert.True(salvaged.GetProperty("commits").GetInt32() > 0);
        Run("salvage", Place("old"), "--extract", "a.db", "-o", Place("salvaged.db")).MustEndWith(0);
        Assert.True(Shipped.RowsOfPlain(Place("salvaged.db")) > 3);
        using (var db = Open("new", remote)) Assert.Equal(3, Rows(db));
    }

    [Fact]
    public void What_only_a_dead_machine_had_joins_its_remote_and_the_successor_goes_on()
    {
        var remote = NewRemote();
        using (var db = Open("old", remote))
        {
            Shipped.Execute(db, Table);
            Insert(db, 3);
            Shipped.Execute(db, "PRAGMA recovery_sync");
        }
        Shipped.Close();
        using (Shipped.Unshipped(Place("old")))
        using (var db = Shipped.Open(Place("old"), "a.db")) Insert(db, 4);
        Run("restore", "--from-local", Place("old"), remote, Place("new")).MustEndWith(0);
        using (var db = Open("new", remote))
        {
            Assert.Equal(7, Rows(db));
            Insert(db, 1);
            Shipped.Execute(db, "PRAGMA recovery_sync");
        }
        Shipped.Close();
        Run("verify", remote).MustEndWith(0);
        Run("restore", remote, "-o", Place("file")).MustEndWith(0);
        Assert.Equal(8, Shipped.RowsOfPlain(Place("file")));
    }

    [Fact]
    public void Collection_deletes_what_nothing_needs_and_says_why_before()
    {
        var remote = NewRemote();
        for (var life = 0; life < 4; life++)
        {
            using (var db = Open("data", remote, "&hints-bytes=1"))
            {
                if (life == 0) Shipped.Execute(db, Table);
                Insert(db, 30);
                Shipped.Execute(db, "PRAGMA recovery_checkpoint; PRAGMA recovery_sync");
                Assert.True(SpinWait.SpinUntil(() => Shipped.Scalar(db, "PRAGMA recovery_status")
                    .Contains("remote_bytes_since_hints: 0"), TimeSpan.FromSeconds(60)));
            }
            Shipped.Close();
            if (life == 1) Run("snapshot", "kept", remote).MustEndWith(0);
        }
        var kept = Run("snapshot", "--list", remote, "--json").MustEndWith(0).Json.EnumerateArray().Single()
            .GetProperty("lsn").GetUInt64();
        Assert.Equal(2, Run("gc", remote).ExitCode);
        string[] nothing = ["--keep", "0s", "--grace", "0s", "--keep-hints", "1"];
        Assert.Contains("nobody else knows", Run(["gc", remote, .. nothing]).MustEndWith(2).Errors);
        var plan = Run(["gc", Place("data"), "--dry-run", "--json", .. nothing]).MustEndWith(0).Json;
        Assert.True(plan.GetProperty("deleted").GetInt32() > 0);
        Assert.All(plan.GetProperty("items").EnumerateArray(), i => Assert.NotEmpty(i.GetProperty("why").GetString()!));
        var before = Objects(remote);
        var done = Run(["gc", Place("data"), "--json", .. nothing]).MustEndWith(0).Json;
        Assert.True(done.GetProperty("deleted").GetInt32() >= plan.GetProperty("deleted").GetInt32());
        Assert.True(Objects(remote) < before);
        Run("verify", remote).MustEndWith(0);
        Run("restore", remote, "-o", Place("newest.db")).MustEndWith(0);
        Assert.Equal(120, Shipped.RowsOfPlain(Place("newest.db")));
        Run("restore", remote, "-o", Place("kept.db"), "--lsn", $"{kept}").MustEndWith(0);
        Assert.Equal(60, Shipped.RowsOfPlain(Place("kept.db")));
    }

    int Objects(string remote)
    {
        var status = Run("status", remote, "--json").MustEndWith(0).Json.GetProperty("remote");
        return new[] { "hints", "segments", "extents" }.Sum(n => status.GetProperty(n).GetInt32());
    }

    [Fact]
    public void What_ran_without_its_remote_is_shipped_later_and_a_gap_is_left_only_when_allowed()
    {
        var remote = NewRemote();
        using (var db = Open("data", remote))
        {
            Shipped.Execute(db, Table);
            Insert(db, 3);
            Shipped.Execute(db, "PRAGMA recovery_sync");
        }
        Shipped.Close();
        // Much, so that the log of it is dropped.
        using (Shipped.Unshipped(Place("data")))
        using (var db = Shipped.Open(Place("data"), "a.db"))
        {
            for (var i = 0; i < 40; i++) Shipped.Execute(db, "INSERT INTO t(v) VALUES (randomblob(1000000))");
            Shipped.Execute(db, "PRAGMA recovery_checkpoint");
        }
        Shipped.Close();
        var refused = Run("sync", "--wait", Place("data")).MustEndWith(3).Errors;
        Assert.Contains("--restart", refused);
        Run("sync", "--wait", "--restart", Place("data")).MustEndWith(0);
        Run("verify", remote, "--sample").MustEndWith(0);
        Run("restore", remote, "-o", Place("newest.db")).MustEndWith(0);
        Assert.Equal(43, Shipped.RowsOfPlain(Place("newest.db")));
    }

    [Fact]
    public void Trouble_is_told_by_name_and_never_taken_for_an_empty_database()
    {
        var remote = NewRemote();
        Assert.Contains("store.json", Run("restore", remote, Place("x")).MustEndWith(3).Errors);
        Run("restore", remote, Place("x"), "--if-replica-exists").MustEndWith(0);
        Assert.False(Directory.Exists(Place("x")));
        using (var db = Open("data", remote))
        {
            Shipped.Execute(db, Table);
            Shipped.Execute(db, "PRAGMA recovery_sync");
        }
        Shipped.Close();
        Directory.Delete(Place("data"), recursive: true);
        Damage(remote);
        var error = Assert.Throws<SqliteException>(() => Open("data", remote, "&auto-restore=on"));
        Assert.NotEmpty(error.Message);
        Assert.Contains("hints", Recovery.LastError);
        Shipped.Close();
        Assert.Contains("hints", Run("restore", remote, Place("data")).MustEndWith(4).Errors);
    }

    /// <summary>Flips a bit in the newest hints.</summary>
    protected abstract void Damage(string remote);
}

public sealed class DirectoryLifeTests : RemoteLifeTests
{
    readonly string remotes = Directory.CreateTempSubdirectory("recovery-remotes-").FullName;
    int count;

    protected override string NewRemote() => new Uri(Path.Combine(remotes, $"{++count}")).AbsoluteUri;

    protected override Dictionary<string, string> Environment => [];

    protected override void Damage(string remote)
    {
        var hints = Directory.EnumerateFiles(Path.Combine(new Uri(remote).LocalPath, "hints"))
            .Order(StringComparer.Ordinal).First();
        var bytes = File.ReadAllBytes(hints);
        bytes[^1] ^= 1;
        File.WriteAllBytes(hints, bytes);
    }

    [Fact]
    public void A_restore_that_may_only_read_says_that_it_is_not_pinned()
    {
        var remote = NewRemote();
        using (var db = Open("data", remote)) Shipped.Execute(db, "CREATE TABLE t(x); PRAGMA recovery_sync");
        Shipped.Close();
        // In the place of the pins' directory: for the superuser, rights are no obstacle.
        File.WriteAllText(Path.Combine(new Uri(remote).LocalPath, "pins"), "");
        var said = Run("restore", remote, Place("restored")).MustEndWith(0).Errors;
        Assert.Contains("No pin could be put", said);
        Assert.Contains("grace", said);
    }

    public override void Dispose()
    {
        base.Dispose();
        Directory.Delete(remotes, recursive: true);
    }
}
