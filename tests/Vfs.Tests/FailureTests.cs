using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.Tests;

/// <summary>A failing disk under SQLite: which code, which message, and what is there afterwards.</summary>
public class FailureTests
{
    const string Setup = "CREATE TABLE t(x); INSERT INTO t VALUES(1)";

    static string Rows(TestStore store) => store.Open().Do("SELECT count(*) FROM t");

    [Theory]
    [InlineData("delete", ""), InlineData("truncate", ""), InlineData("delete", "journal=plain"), InlineData("off", ""),
        InlineData("memory", "")]
    public void A_failed_sync_fails_the_commit_and_the_store_until_reopened(string mode, string options)
    {
        using var store = new TestStore(options);
        using var disk = new SimulatedDisk(store);
        var db = store.Open();
        db.Do(Setup + $"; PRAGMA journal_mode={mode}");
        disk.Disk.Fail(DiskCall.SyncData, 1, RecoveryError.IoSync);
        Assert.StartsWith("!", db.Try("INSERT INTO t VALUES(2)"));
        var first = Recovery.LastError;
        Assert.Equal("1", db.Do("SELECT count(*) FROM t"));
        Assert.Equal("1", Rows(store));
        Assert.Equal((first, "!8"), (first, db.Try("INSERT INTO t VALUES(3)")));
        Assert.Contains("no more writes", Recovery.LastError);
        store.Close();
        Assert.Equal("1", Rows(store));
        store.Open().Do("INSERT INTO t VALUES(4)");
    }

    [Fact]
    public void A_failed_commit_in_exclusive_locking_mode_is_not_published_by_the_next()
    {
        using var store = new TestStore("max-local-log=4M");
        using var disk = new SimulatedDisk(store);
        var db = store.Open();
        db.Do("PRAGMA locking_mode=exclusive; PRAGMA journal_mode=memory; " + Setup);
        var answer = db.Try(
            "BEGIN; INSERT INTO t VALUES(zeroblob(1)); INSERT INTO t SELECT randomblob(20000000); COMMIT");
        Assert.Equal("!13", answer);
        if (SQLitePCL.raw.sqlite3_get_autocommit(db.Handle) == 0) db.Do("ROLLBACK");
        Assert.Equal("1", db.Do("SELECT count(*) FROM t"));
        db.Do("INSERT INTO t VALUES(5)");
        Assert.Equal("2 ok ok", db.Do("SELECT count(*) FROM t; PRAGMA integrity_check; PRAGMA recovery_verify"));
    }

    [Theory, InlineData("delete"), InlineData("wal")]
    public void A_full_log_fails_the_transaction_and_the_store_goes_on(string mode)
    {
        using var store = new TestStore("max-local-log=4M");
        using var disk = new SimulatedDisk(store);
        var db = store.Open();
        db.Do($"PRAGMA journal_mode={mode}; " + Setup);
        var answer = db.Try("INSERT INTO t SELECT randomblob(20000000)");
        Assert.True(answer == "!13", answer + " " + Recovery.LastError);
        Assert.Contains("max-local-log", Recovery.LastError);
        Assert.Equal("1", Rows(store));
    }

    /// <summary>
    /// At any write of the log: SQLite rolled back, so neither others, nor the next open, nor what a kill leaves may
    /// have it.
    /// </summary>
    [Theory]
    [InlineData("UPDATE ver SET n=n+1", RecoveryError.IoWrite, "wal-buffer=0"),
        InlineData("UPDATE ver SET n=n+1", RecoveryError.Full, "")]
    [InlineData(SpilledTwice, RecoveryError.IoWrite, ""),
        InlineData(SpilledTwice, RecoveryError.IoWrite, "wal-buffer=0")]
    [InlineData(SpilledTwice, RecoveryError.Full, ""), InlineData(SpilledTwice, RecoveryError.Full, "wal-buffer=6000")]
    public void A_commit_in_WAL_mode_that_could_not_be_written_is_not_there(string transaction, RecoveryError error,
        string options)
    {
        var failures = 0;
        for (var round = 2; round < 18; round++)
        {
            var (nth, synchronous) = (round / 2, round % 2 + 1);
            using var store = new TestStore(options);
            using var disk = new SimulatedDisk(store);
            var (db, other) = (store.Open(), store.Open());
            db.Do($"PRAGMA page_size=512; PRAGMA journal_mode=wal; PRAGMA synchronous={synchronous}; PRAGMA "
                + "cache_size=4; PRAGMA wal_autocheckpoint=0;"
                + "CREATE TABLE ver(n INT); INSERT INTO ver VALUES(0); CREATE TABLE t(x); WITH c(i) AS (SELECT 1 "
                    + "UNION ALL SELECT i+1 FROM c WHERE i<40) INSERT INTO t SELECT zeroblob(400) FROM c");
            other.Do("SELECT n FROM ver");
            disk.Disk.Fail(DiskCall.Write, nth, error);
            var answer = db.Try(transaction);
            var hasFailed = answer.StartsWith('!');
            if (SQLitePCL.raw.sqlite3_get_autocommit(db.Handle) == 0) db.Try("ROLLBACK");
            disk.Disk.ClearFaults();
            if (hasFailed) failures++;
            var expected = hasFailed ? "0 0" : "1 40";
            const string Read = "SELECT n FROM ver; SELECT sum(substr(x,1,1)!=x'00') FROM t";
            if (transaction != SpilledTwice) expected = expected[..1] + " 0";
            Assert.Equal($"{nth} {synchronous} {expected}", $"{nth} {synchronous} {other.Do(Read)}");
            var killed = disk.Disk.AfterProcessDeath();
            store.Close();
            Assert.Equal($"{nth} {synchronous} {expected} ok",
                $"{nth} {synchronous} {store.Open().Do(Read + "; PRAGMA integrity_check")}");
            using var after = new TestStore(options);
            using var image = new SimulatedDisk(after, killed);
            Assert.Equal($"{nth} {synchronous} {expected} ok",
                $"{nth} {synchronous} {after.Open().Do(Read + "; PRAGMA integrity_check")}");
        }
        Assert.True(failures > 0, "no write failed");
    }

    // Pages of it are written twice, so that SQLite computes the checksums of all frames anew when it commits.
    const string SpilledTwice =
        "BEGIN; UPDATE t SET x=randomblob(400); UPDATE t SET x=x'01'||randomblob(399); UPDATE ver SET n=n+1; COMMIT";

    [Theory]
    [InlineData("delete", "8M"), InlineData("wal", "8M"), InlineData("wal; PRAGMA wal_autocheckpoint=0", "8M")]
    [InlineData("delete", "40M"), InlineData("wal", "40M")]
    public void A_small_bound_of_the_log_slows_small_commits_and_fails_none(string mode, string bound)
    {
        using var store = new TestStore("max-local-log=" + bound);
        var db = store.Open();
        db.Do($"PRAGMA synchronous=off; PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, x)");
        const int Commits = 1_500, Rows = 200;
        for (var i = 0; i < Commits; i++)
        {
            var answer = db.Try($"INSERT OR REPLACE INTO t VALUES({i % Rows}, randomblob(60000))");
            Assert.True(answer.Length == 0, $"commit {i}: {answer} {Recovery.LastError}");
        }
        Assert.Equal($"{Rows} ok", db.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        var log = new DirectoryInfo(store.PathOf(".recovery")).GetFiles("*.log", SearchOption.AllDirectories)
            .Sum(f => f.Length);
        Assert.True(log <= int.Parse(bound[..^1]) << 20, $"{log} bytes of log");
    }

    /// <summary>The order of the log does what the syncs of the main file and of a WAL's header are for.</summary>
    [Fact]
    public void A_checkpoint_and_the_WAL_that_begins_anew_cost_one_sync()
    {
        using var store = new TestStore();
        using var disk = new SimulatedDisk(store);
        var db = store.Open();
        db.Do("PRAGMA journal_mode=wal; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; " + Setup
            + "; PRAGMA wal_checkpoint");
        db.Do("INSERT INTO t VALUES(2)");
        var before = disk.Disk.Count(DiskCall.SyncData);
        db.Do("INSERT INTO t VALUES(3)");
        Assert.Equal(before, disk.Disk.Count(DiskCall.SyncData));
        db.Do("PRAGMA wal_checkpoint");
        Assert.Equal(before + 1, disk.Disk.Count(DiskCall.SyncData));
        db.Do("INSERT INTO t VALUES(4)");
        Assert.Equal(before + 1, disk.Disk.Count(DiskCall.SyncData));
    }

    /// <summary>The segment of the one before is the current one, and longer than half of the bound.</summary>
    [Theory, InlineData("delete", ""), InlineData("wal", ""), InlineData("delete", "journal=plain")]
    public void A_large_transaction_gets_the_room_of_the_one_before(string mode, string options)
    {
        using var store = new TestStore("max-local-log=16M&" + options);
        var db = store.Open();
        db.Do($"PRAGMA journal_mode={mode}; CREATE TABLE t(x)");
        for (var i = 0; i < 5; i++)
        {
            var answer = db.Try(
                "WITH c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<2000) INSERT INTO t SELECT "
                    + "randomblob(4900) FROM c");
            Assert.True(answer.Length == 0, $"transaction {i}: {answer} {Recovery.LastError}");
        }
        store.Close();
        Assert.Equal("10000 ok ok", store.Open()
            .Do("SELECT count(*) FROM t; PRAGMA integrity_check; PRAGMA recovery_verify"));
    }

    [Fact]
    public void A_damaged_page_is_an_error_not_data()
    {
        using var store = new TestStore();
        var db = store.Open();
        db.Do("PRAGMA page_size=4096; CREATE TABLE t(x); WITH c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE "
            + "i<3000) INSERT INTO t SELECT randomblob(1000) FROM c; PRAGMA recovery_checkpoint");
        store.Close();
        var largest = new DirectoryInfo(store.PathOf(".recovery/pages")).GetFiles().MaxBy(f => f.Length)!;
        Assert.True(largest.Length > 1 << 20, "the pages are in files");
        using (var file = largest.Open(FileMode.Open, FileAccess.ReadWrite))
        {
            for (var at = 100_000L; at < file.Length - 100; at += 50_000)
            {
                file.Position = at;
                var value = file.ReadByte();
                file.Position = at;
                file.WriteByte((byte)(value ^ 0x10));
            }
        }
        db = store.Open();
        var answer = db.Try("SELECT sum(length(x)) FROM t");
        Assert.Contains(answer, (string[])["!8202", "!11"]);
        Assert.Contains(store.Directory, Recovery.LastError);
    }

    [Theory, InlineData("OFF", false), InlineData("OFF", true), InlineData("NORMAL", false), InlineData("FULL", true)]
    public void A_checkpoint_that_cannot_be_committed_loses_nothing(string synchronous, bool partial)
    {
        for (var nth = 1; nth <= 4; nth++)
        {
            using var store = new TestStore();
            using var disk = new SimulatedDisk(store);
            var (a, b) = (store.Open(), store.Open());
            a.Do($"PRAGMA journal_mode=wal; PRAGMA synchronous={synchronous}; CREATE TABLE t(x); INSERT INTO t "
                + "VALUES(1); PRAGMA wal_checkpoint; PRAGMA wal_autocheckpoint=0; INSERT INTO t VALUES(2)");
            b.Do("SELECT 1 FROM t");
            if (partial)
            {
                store.Open().Do("BEGIN; SELECT * FROM t");
                a.Do("INSERT INTO t VALUES(3)");
            }
            var expected = partial ? "3" : "2";
            disk.Disk.Fail(DiskCall.Write, nth, RecoveryError.IoWrite);
            var answer = a.Try("PRAGMA wal_checkpoint");
            disk.Disk.ClearFaults();
            // Reads may fail; the rows are never missing.
            var read = b.Try("SELECT count(*) FROM t");
            Assert.True(read == expected || read.StartsWith('!'), $"{nth} {answer}: {read}");
            a.Try("PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES(4); DELETE FROM t WHERE x=4");
            store.Close();
            Assert.Equal($"{nth} {expected} ok ok",
                $"{nth} " + store.Open().Do(
                    "SELECT count(*) FROM t WHERE x<4; PRAGMA integrity_check; PRAGMA recovery_verify"));
        }
    }

    [Fact]
    public void A_transaction_larger_than_its_memory_rolls_back_and_commits()
    {
        using var store = new TestStore("overlay-budget=1M&pending-budget=1M");
        var db = store.Open();
        db.Do("PRAGMA cache_size=20; CREATE TABLE t(id INTEGER PRIMARY KEY, x); WITH c(i) AS (SELECT 1 UNION ALL "
            + "SELECT i+1 FROM c WHERE i<9000) INSERT INTO t SELECT i, randomblob(1000) FROM c");
        var before = db.Do("SELECT count(*), sum(length(x)) FROM t");
        db.Do("BEGIN; UPDATE t SET x=zeroblob(1100); DELETE FROM t WHERE id%3=0; ROLLBACK");
        Assert.Equal(before + " ok", db.Do("SELECT count(*), sum(length(x)) FROM t; PRAGMA integrity_check"));
        db.Do("BEGIN; UPDATE t SET x=zeroblob(1100); DELETE FROM t WHERE id%3=0; COMMIT");
        store.Close();
        Assert.Equal("6000 6600000 ok ok", store.Open()
            .Do("SELECT count(*), sum(length(x)) FROM t; PRAGMA integrity_check; PRAGMA recovery_verify"));
        Assert.Empty(Directory.GetFiles(store.PathOf(".recovery"), "journal-*"));
    }

    [Fact]
    public void Another_process_gets_a_message_that_names_the_holder()
    {
        using var store = new TestStore();
        store.Open().Do(Setup);
        // A second registry in this process stands for another SQLite; the store's lock does not care which process it
        // is.
        var error = Assert.Throws<RecoveryException>(()
            => Store.Open(new StoreOptions { Directory = store.PathOf(".recovery") }));
        Assert.Equal(RecoveryError.Busy, error.Error);
        Assert.Contains("in this process already", error.Message);
    }
}
