

namespace RecoveryVfs.Tests;

/// <summary>
/// What readers and writers of one database see of each other. "!5" is SQLITE_BUSY, "!517" SQLITE_BUSY_SNAPSHOT.
/// </summary>
public class IsolationTests
{
    const string Fill = "WITH c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<500) ";

    static (TestStore Store, Microsoft.Data.Sqlite.SqliteConnection A,
        Microsoft.Data.Sqlite.SqliteConnection B) Two(string setup)
    {
        var store = new TestStore();
        var a = store.Open();
        var b = store.Open();
        a.Do(setup);
        return (store, a, b);
    }

    [Fact]
    public void A_reader_keeps_its_version_while_others_commit()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        using (store)
        {
            Assert.Equal("1", b.Do("BEGIN; SELECT count(*) FROM t"));
            a.Do("INSERT INTO t VALUES(2)");
            Assert.Equal("1", b.Do("SELECT count(*) FROM t"));
            Assert.Equal("2", b.Do("COMMIT; SELECT count(*) FROM t"));
        }
    }

    [Fact]
    public void Writing_on_an_old_version_is_refused_at_once_and_works_after_rollback()
    {
        var (store, a, b) = Two("CREATE TABLE t(x)");
        using (store)
        {
            var waits = 0;
            Assert.Equal("0", b.Do("BEGIN; SELECT count(*) FROM t"));
            SQLitePCL.raw.sqlite3_busy_timeout(b.Handle, 5000);
            a.Do("INSERT INTO t VALUES(3)");
            var started = Environment.TickCount64;
            Assert.Equal("!517", b.Try("INSERT INTO t VALUES(4)"));
            waits += (int)(Environment.TickCount64 - started);
            Assert.True(waits < 2000, "the busy handler must not wait for what cannot come");
            Assert.Equal("0", b.Do("SELECT count(*) FROM t"));
            Assert.Equal("2", b.Do("ROLLBACK; INSERT INTO t VALUES(4); SELECT count(*) FROM t"));
        }
    }

    [Fact]
    public void Immediate_transactions_exclude_each_other_but_no_reader()
    {
        var (store, a, b) = Two("CREATE TABLE t(x)");
        using (store)
        {
            b.Do("BEGIN; SELECT * FROM t");
            a.Do("BEGIN IMMEDIATE; INSERT INTO t VALUES(5)");
            var c = store.Open();
            Assert.Equal("!5", c.Try("BEGIN IMMEDIATE"));
            a.Do("COMMIT");
            c.Do("BEGIN IMMEDIATE; INSERT INTO t VALUES(6); COMMIT");
            Assert.Equal("2", b.Do("COMMIT; SELECT count(*) FROM t"));
        }
    }

    [Fact]
    public void An_exclusive_transaction_lets_readers_in()
    {
        var (store, a, b) = Two("CREATE TABLE t(x)");
        using (store)
        {
            b.Do("BEGIN; SELECT * FROM t");
            a.Do("BEGIN EXCLUSIVE");
            var c = store.Open();
            Assert.Equal("0", c.Do("SELECT count(*) FROM t"));
            a.Do("INSERT INTO t VALUES(7); COMMIT");
            Assert.Equal("0", b.Do("SELECT count(*) FROM t"));
            Assert.Equal("1", c.Do("SELECT count(*) FROM t"));
        }
    }

    [Fact]
    public void With_isolation_locking_a_reader_holds_a_commit_off()
    {
        using var store = new TestStore("isolation=locking");
        var (a, b) = (store.Open(), store.Open());
        a.Do("CREATE TABLE t(x)");
        Assert.Equal("locking", a.Do("PRAGMA recovery_isolation"));
        b.Do("BEGIN; SELECT * FROM t");
        a.Do("BEGIN; INSERT INTO t VALUES(1)");
        Assert.Equal("!5", a.Try("COMMIT"));
        Assert.Equal("!5", store.Open().Try("SELECT * FROM t"));
        b.Do("COMMIT");
        a.Do("COMMIT");
        a.Do("BEGIN EXCLUSIVE");
        Assert.Equal("!5", b.Try("SELECT * FROM t"));
    }

    [Fact]
    public void A_locking_reader_holds_off_a_writer_that_is_not()
    {
        using var store = new TestStore();
        var (a, b) = (store.Open(), store.Open(options: "isolation=locking"));
        a.Do("CREATE TABLE t(x)");
        b.Do("BEGIN; SELECT * FROM t");
        Assert.Equal("!5", a.Try("INSERT INTO t VALUES(1)"));
        b.Do("COMMIT; PRAGMA recovery_isolation=snapshot; BEGIN; SELECT * FROM t");
        a.Do("INSERT INTO t VALUES(1)");
    }

    [Fact]
    public void Commits_of_an_exclusive_locking_mode_reach_caches_that_the_change_counter_would_not()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        using (store)
        {
            b.Do("SELECT * FROM t");
            a.Do("PRAGMA locking_mode=exclusive; INSERT INTO t VALUES(2)");
            Assert.Equal("2", b.Do("SELECT count(*) FROM t"));
            a.Do("INSERT INTO t VALUES(3)");
            Assert.Equal("3", b.Do("SELECT count(*) FROM t"));
            a.Do("INSERT INTO t VALUES(4); PRAGMA locking_mode=normal; SELECT 1 FROM t");
            Assert.Equal("4 ok", b.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        }
    }

    [Fact]
    public void A_reader_in_exclusive_locking_mode_stays_at_its_version_until_it_lets_go()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        using (store)
        {
            Assert.Equal("exclusive 1", b.Do("PRAGMA locking_mode=exclusive; SELECT count(*) FROM t"));
            a.Do("INSERT INTO t VALUES(2)");
            Assert.Equal("1", b.Do("SELECT count(*) FROM t"));
            Assert.StartsWith("!", b.Try("INSERT INTO t VALUES(3)"));
            b.Do("PRAGMA locking_mode=normal; SELECT count(*) FROM t");
            Assert.Equal("2", b.Do("SELECT count(*) FROM t"));
            b.Do("INSERT INTO t VALUES(3)");
        }
    }

    [Fact]
    public void Vacuum_to_another_page_size_under_a_reader()
    {
        var (store, a, b) =
            Two($"PRAGMA page_size=1024; CREATE TABLE t(x); {Fill} INSERT INTO t SELECT randomblob(200) FROM c");
        using (store)
        {
            Assert.Equal("500 100000", b.Do("BEGIN; SELECT count(*), sum(length(x)) FROM t"));
            a.Do("PRAGMA page_size=4096; VACUUM");
            Assert.Equal("500 100000 1024 ok",
                b.Do("SELECT count(*), sum(length(x)) FROM t; PRAGMA page_size; PRAGMA integrity_check"));
            Assert.Equal("500 4096 ok",
                b.Do("COMMIT; SELECT count(*) FROM t; PRAGMA page_size; PRAGMA integrity_check"));
            Assert.Equal("4096 ok", a.Do("PRAGMA page_size; PRAGMA recovery_verify"));
        }
    }

    [Fact]
    public void A_database_that_shrinks_under_a_reader()
    {
        var (store, a, b) =
            Two($"PRAGMA auto_vacuum=full; CREATE TABLE t(x); {Fill} INSERT INTO t SELECT randomblob(900) FROM c");
        using (store)
        {
            var pages = b.Do("BEGIN; SELECT count(*) FROM t; PRAGMA page_count").Split(' ')[1];
            a.Do("DELETE FROM t WHERE rowid%10");
            Assert.Equal($"500 450000 {pages} ok",
                b.Do("SELECT count(*), sum(length(x)) FROM t; PRAGMA page_count; PRAGMA integrity_check"));
            Assert.Equal("50 ok", b.Do("COMMIT; SELECT count(*) FROM t; PRAGMA integrity_check"));
            Assert.True(int.Parse(b.Do("PRAGMA page_count")) < int.Parse(pages) / 4);
        }
    }

    [Fact]
    public void Backup_from_a_database_that_changes_between_steps()
    {
        var (store, a, b) = Two($"CREATE TABLE t(x); {Fill} INSERT INTO t SELECT randomblob(900) FROM c");
        using (store)
        {
            var target = store.Open("copy.db");
            using (var backup = SQLitePCL.raw.sqlite3_backup_init(target.Handle, "main", b.Handle, "main"))
            {
                Assert.Equal(0, SQLitePCL.raw.sqlite3_backup_step(backup, 5));
                a.Do("INSERT INTO t VALUES(randomblob(900))");
                Assert.Equal(0, SQLitePCL.raw.sqlite3_backup_step(backup, 5));
                a.Do("INSERT INTO t VALUES(randomblob(900))");
                Assert.Equal(SQLitePCL.raw.SQLITE_DONE, SQLitePCL.raw.sqlite3_backup_step(backup, -1));
            }
            Assert.Equal("502 ok", target.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        }
    }

    [Fact]
    public void Backup_into_a_database_that_is_being_read()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        using (store)
        using (var memory = new Microsoft.Data.Sqlite.SqliteConnection("Data Source=:memory:"))
        {
            memory.Open();
            memory.Do("CREATE TABLE z(y)");
            b.Do("BEGIN; SELECT * FROM t");
            memory.BackupDatabase(a);
            Assert.Equal("1", b.Do("SELECT count(*) FROM t"));
            Assert.Equal("z", b.Do("COMMIT; SELECT name FROM sqlite_master"));
        }
    }

    [Fact]
    public void Blob_handles_read_their_version_and_write()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(20000))");
        using (store)
        {
            var buffer = new byte[100];
            using (var blob = new Microsoft.Data.Sqlite.SqliteBlob(b, "t", "x", 1, readOnly: true))
            {
                Assert.Equal(100, blob.Read(buffer, 0, 100));
                a.Do("UPDATE t SET x=randomblob(20000)");
                Assert.Equal(100, blob.Read(buffer, 0, 100));
                Assert.All(buffer, value => Assert.Equal(0, value));
                Assert.StartsWith("!", b.Try("INSERT INTO t VALUES(1)"));
            }
            using (var blob = new Microsoft.Data.Sqlite.SqliteBlob(b, "t", "x", 1)) blob.Write("abcd"u8);
            Assert.Equal("abcd", a.Do("SELECT CAST(substr(x,1,4) AS TEXT) FROM t"));
        }
    }

    [Fact]
    public void Switching_to_wal_and_back_around_a_pinned_reader()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        using (store)
        {
            Assert.Equal("1", b.Do("BEGIN; SELECT count(*) FROM t"));
            Assert.Equal("wal", a.Do("PRAGMA journal_mode=wal; INSERT INTO t VALUES(2)"));
            a.Do("PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES(3); PRAGMA wal_checkpoint");
            Assert.Equal("1", b.Do("SELECT count(*) FROM t"));
            Assert.StartsWith("!", b.Try("INSERT INTO t VALUES(9)"));
            Assert.Equal("3 wal", b.Do("COMMIT; SELECT count(*) FROM t; PRAGMA journal_mode"));
            Assert.Equal("!5", a.Try("PRAGMA journal_mode=delete"));
            b.Dispose();
            Assert.Equal("delete", a.Do("PRAGMA journal_mode=delete"));
            Assert.Equal("3 delete ok", store.Open()
                .Do("SELECT count(*) FROM t; PRAGMA journal_mode; PRAGMA integrity_check"));
        }
    }

    [Fact]
    public void The_last_wal_connection_closes_while_a_reader_is_pinned()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        using (store)
        {
            b.Do("BEGIN; SELECT count(*) FROM t");
            a.Do("PRAGMA journal_mode=wal; INSERT INTO t VALUES(4)");
            a.Dispose();
            Assert.Equal("1", b.Do("SELECT count(*) FROM t"));
            Assert.Equal("2 wal", b.Do("COMMIT; SELECT count(*) FROM t; PRAGMA journal_mode"));
            Assert.Equal("2 ok", store.Open().Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        }
    }

    [Fact]
    public void A_wal_in_exclusive_locking_mode_keeps_others_out_but_not_a_pinned_reader()
    {
        var (store, a, b) = Two("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        using (store)
        {
            b.Do("BEGIN; SELECT count(*) FROM t");
            Assert.Equal("exclusive wal",
                a.Do("PRAGMA locking_mode=exclusive; PRAGMA journal_mode=wal; INSERT INTO t VALUES(2)"));
            Assert.Equal("1", b.Do("SELECT count(*) FROM t"));
            b.Do("COMMIT");
            Assert.Equal("!5", b.Try("SELECT count(*) FROM t"));
            a.Do("INSERT INTO t VALUES(3); PRAGMA wal_checkpoint");
            Assert.Equal("!5", b.Try("SELECT count(*) FROM t"));
            a.Dispose();
            Assert.Equal("3 ok", b.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        }
    }

    [Theory]
    [InlineData("delete"), InlineData("off"), InlineData("memory"), InlineData("persist")]
    public void A_transaction_that_spilled_and_rolled_back_was_never_seen(string mode)
    {
        var (store, a, b) =
            Two($"PRAGMA journal_mode={mode}; PRAGMA cache_size=5; CREATE TABLE t(x); {Fill} INSERT INTO t SELECT "
                + "randomblob(900) FROM c");
        using (store)
        {
            b.Do("BEGIN; SELECT count(*) FROM t");
            a.Do("BEGIN; UPDATE t SET x=zeroblob(950); DELETE FROM t WHERE rowid>250; ROLLBACK");
            Assert.Equal("500 0", b.Do("SELECT count(*),sum(x=zeroblob(950)) FROM t"));
            Assert.Equal("500 0 ok",
                b.Do("COMMIT; SELECT count(*),sum(x=zeroblob(950)) FROM t; PRAGMA integrity_check"));
            Assert.Equal("500 ok", a.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        }
    }

    [Fact]
    public void A_savepoint_that_spilled_and_rolled_back()
    {
        var (store, a, b) =
            Two($"PRAGMA cache_size=5; PRAGMA journal_mode=persist; CREATE TABLE t(x); {Fill} INSERT INTO t SELECT "
                + "randomblob(900) FROM c");
        using (store)
        {
            a.Do("BEGIN; DELETE FROM t WHERE rowid>490; SAVEPOINT a; UPDATE t SET x=zeroblob(950); ROLLBACK TO a; "
                + "COMMIT");
            Assert.Equal("490 0 ok", b.Do("SELECT count(*),sum(x=zeroblob(950)) FROM t; PRAGMA integrity_check"));
        }
    }

    [Fact]
    public void Connections_with_a_shared_cache_share_their_version()
    {
        using var store = new TestStore();
        var a = store.Open();
        a.Do("CREATE TABLE t(x)");
        var s1 = store.Open(cache: Microsoft.Data.Sqlite.SqliteCacheMode.Shared);
        var s2 = store.Open(cache: Microsoft.Data.Sqlite.SqliteCacheMode.Shared);
        s1.Do("BEGIN; SELECT count(*) FROM t");
        a.Do("INSERT INTO t VALUES(1)");
        Assert.Equal("0", s2.Do("SELECT count(*) FROM t"));
        Assert.StartsWith("!", s2.Try("INSERT INTO t VALUES(2)"));
        s1.Do("COMMIT");
        Assert.Equal("1", s2.Do("SELECT count(*) FROM t"));
        s2.Do("INSERT INTO t VALUES(2)");
    }

    [Fact]
    public void Data_version_moves_with_foreign_commits()
    {
        var (store, a, b) = Two("CREATE TABLE t(x)");
        using (store)
        {
            var before = b.Do("PRAGMA data_version");
            Assert.Equal(before, b.Do("PRAGMA data_version"));
            a.Do("INSERT INTO t VALUES(5)");
            Assert.NotEqual(before, b.Do("PRAGMA data_version"));
        }
    }

    [Fact]
    public void A_reader_of_the_empty_database_does_not_harm_the_wal_that_comes()
    {
        using var store = new TestStore();
        var (a, b) = (store.Open(), store.Open());
        Assert.Equal("0", b.Do("BEGIN; SELECT count(*) FROM sqlite_master"));
        a.Do("PRAGMA journal_mode=wal; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        Assert.Equal("0", b.Do("SELECT count(*) FROM sqlite_master"));
        Assert.Equal("1", b.Do("COMMIT; SELECT count(*) FROM t"));
    }

    /// <summary>
    /// Stock SQLite 3.40.1 loses D's commit here: B's cache stays stale when it closes the WAL, and the counter is
    /// equal.
    /// </summary>
    [Fact]
    public void Leaving_wal_mode_with_a_stale_cache_loses_no_commit()
    {
        using var store = new TestStore();
        var setup = store.Open();
        setup.Do("PRAGMA journal_mode=wal; CREATE TABLE t(id INTEGER PRIMARY KEY, v); WITH c(i) AS (SELECT 1 UNION "
            + "ALL SELECT i+1 FROM c WHERE i<200) INSERT INTO t SELECT i, 'a' FROM c");
        var d = store.Open();
        d.Do("SELECT 1 FROM t");
        setup.Dispose();
        var b = store.Open();
        Assert.Equal("200", b.Do("SELECT count(*) FROM t WHERE v='a'"));
        d.Do("UPDATE t SET v='b' WHERE id=77");
        d.Dispose();
        Assert.Equal("delete", b.Do("PRAGMA journal_mode=delete"));
        Assert.Equal("1", b.Do("SELECT count(*) FROM t WHERE v='b'"));
        b.Do("UPDATE t SET v='c' WHERE id=78");
        Assert.Equal("1 1 ok", store.Open().Do("SELECT sum(v='b'), sum(v='c') FROM t; PRAGMA integrity_check"));
    }
}
