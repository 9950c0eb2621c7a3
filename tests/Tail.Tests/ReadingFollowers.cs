using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tail.Tests;

/// <summary>SQLite connections that read a follower while its writer goes on, in every journal mode.</summary>
public sealed class ReadingFollowers : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    [Theory]
    [InlineData("delete")]
    [InlineData("wal")]
    public void Each_transaction_sees_one_whole_commit_and_later_ones_move_forward(string mode)
    {
        using var writer = site.Writer();
        writer.Do($"PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, fill BLOB); CREATE "
            + "INDEX i ON t(n)");
        writer.Do("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<200) INSERT INTO t SELECT "
            + "x, 0, randomblob(300) FROM c");
        site.Wait(writer);
        using var reader = site.Reader();
        using var slow = site.Reader();
        var random = new Random(1);
        var seen = -1L;
        slow.Do("BEGIN");
        var slowSees = slow.Do("SELECT sum(n), count(*) FROM t");
        for (var i = 1; i <= 60; i++)
        {
            // Every commit leaves all rows with the same n.
            writer.Do($"BEGIN; UPDATE t SET n={i}; UPDATE t SET fill=randomblob(300) WHERE id % 7 = {i % 7}; COMMIT");
            if (mode == "wal" && random.Next(8) == 0) writer.Do("PRAGMA wal_checkpoint(TRUNCATE)");
            if (mode == "wal" && random.Next(8) == 0) writer.Do("PRAGMA wal_checkpoint");
            if (random.Next(10) == 0) writer.Do("BEGIN; DELETE FROM t; ROLLBACK");
            var found = reader.Do("SELECT min(n), max(n), count(*) FROM t").Split(' ');
            Assert.Equal(found[0], found[1]);
            Assert.Equal("200", found[2]);
            Assert.True(long.Parse(found[0]) >= seen);
            seen = long.Parse(found[0]);
            if (i % 10 != 0) continue;
            reader.Do($"PRAGMA recovery_wait_lsn={writer.Do("PRAGMA recovery_lsn")}");
            Assert.Equal($"{i} {i}", reader.Do("SELECT min(n), max(n) FROM t"));
            Assert.Equal("ok", reader.Do("PRAGMA integrity_check"));
            Assert.Equal(slowSees, slow.Do("SELECT sum(n), count(*) FROM t"));
        }
        slow.Do("COMMIT");
        Assert.Equal("60", slow.Do("SELECT max(n) FROM t"));
        Assert.Equal(0, int.Parse(reader.Do("PRAGMA recovery_lag")) / 100_000);
        Assert.Contains("follower_state", reader.Do("PRAGMA recovery_status"));
    }

    [Fact]
    public void Schema_changes_vacuums_and_other_page_sizes_arrive()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
        site.Wait(writer);
        using var reader = site.Reader();
        foreach (var change in (string[])["CREATE TABLE u(b); INSERT INTO u VALUES (randomblob(9000))",
            "PRAGMA page_size=1024; VACUUM", "PRAGMA journal_mode=wal",
            "INSERT INTO t VALUES (2)", "PRAGMA journal_mode=delete", "PRAGMA page_size=8192; VACUUM", "DROP TABLE u",
                "PRAGMA journal_mode=wal; INSERT INTO t VALUES (3)"])
        {
            writer.Do(change);
            reader.Do($"PRAGMA recovery_wait_lsn={writer.Do("PRAGMA recovery_lsn")}");
            Assert.Equal(writer.Do("SELECT group_concat(a) FROM t"), reader.Do("SELECT group_concat(a) FROM t"));
            Assert.Equal(writer.Do("SELECT group_concat(name) FROM sqlite_master"),
                reader.Do("SELECT group_concat(name) FROM sqlite_master"));
            Assert.Equal("ok", reader.Do("PRAGMA integrity_check"));
        }
    }

    [Fact]
    public void A_follower_is_read_only_and_its_connections_survive_its_restart()
    {
        using var writer = site.Writer();
        writer.Do("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES (1)");
        site.Wait(writer);
        using (var reader = site.Reader())
            Assert.StartsWith("!8", reader.Try("INSERT INTO t VALUES (2)"));
        Recovery.CloseIdleStores();
        writer.Do("INSERT INTO t VALUES (3)");
        site.Wait(writer);
        using var again = site.Reader();
        Assert.Equal("2", again.Do("SELECT count(*) FROM t"));
        Assert.Throws<SqliteException>(() => site.Reader("none.db"));
        Assert.Contains("a.db", Recovery.LastError);
    }

    [Fact]
    public async Task A_promoted_follower_is_written_to()
    {
        using (var writer = site.Writer())
        {
            writer.Do("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES (1)");
            site.Wait(writer);
            var (code, output, errors) = await site.RunAsync(site.Url, "--into", site.PathOf("second"), "--promote");
            Assert.True(code == 0, errors);
            Assert.Contains("promoted at LSN", output);
            using var second =
                site.Open("file:" + site.PathOf("second/a.db")
                + "?vfs=recovery&durability=remote&sync-interval=5&linger=0");
            Assert.Equal("1", second.Do("SELECT a FROM t"));
            second.Do("INSERT INTO t VALUES (2)");
            Assert.Equal("1 2", second.Do("SELECT a FROM t"));
            Assert.StartsWith("!", writer.Try("PRAGMA recovery_durability=remote; INSERT INTO t VALUES (9)"));
        }
    }
}
