using Dapper;
using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog;
using SQLitePCL;

namespace RecoveryVfs.Tests;

/// <summary>
/// Databases as files: the stub, plain databases, deleting, listing, renaming, importing, exporting, and how they are
/// opened.
/// </summary>
public class DatabaseFileTests
{
    static int OpenCode(string uri, int flags = raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE)
    {
        var code = raw.sqlite3_open_v2(uri, out var db, flags | 0x40, null);
        if (code == 0) code = raw.sqlite3_exec(db, "SELECT count(*) FROM sqlite_master");
        db.Dispose();
        return code;
    }

    [Fact]
    public void A_stub_lies_at_the_path_and_says_what_it_is()
    {
        using var store = new TestStore();
        var db = store.Open();
        Assert.Equal("", File.ReadAllText(store.PathOf("a.db")));
        db.Do("CREATE TABLE t(x)");
        var text = File.ReadAllText(store.PathOf("a.db"));
        Assert.StartsWith("This is a RecoveryVfs database.", text);
        Assert.Contains("store: .recovery\n", text);
        Assert.Contains("database: a.db\n", text);
        using var plain = new SqliteConnection($"Data Source={store.PathOf("a.db")};Pooling=false");
        plain.Open();
        Assert.Equal("!26", plain.Try("SELECT * FROM sqlite_master"));
    }

    [Fact]
    public void A_renamed_stub_still_leads_to_its_database()
    {
        using var store = new TestStore();
        store.Open().Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        store.Close();
        File.Copy(store.PathOf("a.db"), store.PathOf("b.db"));
        var (a, b) = (store.Open(), store.Open("b.db"));
        a.Do("BEGIN IMMEDIATE");
        Assert.Equal("!5", b.Try("BEGIN IMMEDIATE"));
        a.Do("INSERT INTO t VALUES(2); COMMIT");
        Assert.Equal("2 a.db", b.Do("SELECT count(*) FROM t; PRAGMA recovery_database"));
    }

    [Fact]
    public void A_plain_database_is_left_alone_and_the_message_says_how_to_import_it()
    {
        using var store = new TestStore();
        using (var plain = new SqliteConnection($"Data Source={store.PathOf("p.db")};Pooling=false"))
        {
            plain.Open();
            plain.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        }
        var before = File.ReadAllBytes(store.PathOf("p.db"));
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("p.db")));
        Assert.Contains("plain SQLite database", Recovery.LastError);
        Assert.Contains("import", Recovery.LastError);
        Assert.Equal(before, File.ReadAllBytes(store.PathOf("p.db")));
        Assert.False(Directory.Exists(store.PathOf(".recovery")));
    }

    [Fact]
    public void Other_files_are_left_alone()
    {
        using var store = new TestStore();
        File.WriteAllText(store.PathOf("letter.txt"), "Dear all,");
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("letter.txt")));
        Assert.Contains("left as it is", Recovery.LastError);
        Assert.Equal("Dear all,", File.ReadAllText(store.PathOf("letter.txt")));
    }

    [Fact]
    public void An_empty_file_becomes_a_database()
    {
        using var store = new TestStore();
        File.WriteAllText(store.PathOf("e.db"), "");
        store.Open("e.db").Do("CREATE TABLE t(x)");
        Assert.StartsWith("This is a RecoveryVfs database.", File.ReadAllText(store.PathOf("e.db")));
    }

    [Fact]
    public void Opening_what_does_not_exist()
    {
        using var store = new TestStore();
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("none.db"), raw.SQLITE_OPEN_READWRITE));
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("none.db", "mode=ro")));
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("none/a.db")));
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("none.db", "isolation=perfect")));
        Assert.Contains("snapshot or locking", Recovery.LastError);
        Assert.Empty(Directory.GetFileSystemEntries(store.Directory));
    }

    [Fact]
    public void A_stub_without_its_database_is_an_error_not_an_empty_database()
    {
        using var store = new TestStore();
        store.Open().Do("CREATE TABLE t(x)");
        store.Close();
        Directory.Delete(store.PathOf(".recovery"), recursive: true);
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("a.db")));
        Assert.Contains("does not exist", Recovery.LastError);
        store.Open("b.db").Do("CREATE TABLE t(x)");
        Assert.Equal(raw.SQLITE_CANTOPEN, OpenCode(store.UriOf("a.db")));
        Assert.Contains("does not have it", Recovery.LastError);
    }

    [Fact]
    public void Read_only_connections_read()
    {
        using var store = new TestStore();
        store.Open().Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        var reader = store.Open(options: "mode=ro");
        Assert.Equal("1", reader.Do("SELECT * FROM t"));
        Assert.Equal("!8", reader.Try("INSERT INTO t VALUES(2)"));
        store.Close();
        Assert.Equal("1", store.Open(options: "mode=ro").Do("SELECT * FROM t"));
        Assert.Equal("1", store.Open(options: "immutable=1").Do("SELECT * FROM t"));
        store.Open(options: "nolock=1").Do("INSERT INTO t VALUES(2)");
        Assert.Equal("2", store.Open().Do("SELECT count(*) FROM t"));
    }

    [Fact]
    public void Another_store_directory()
    {
        using var store = new TestStore();
        store.Open(options: "store=" + store.PathOf("elsewhere")).Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        store.Close();
        Assert.False(Directory.Exists(store.PathOf(".recovery")));
        Assert.Equal("1 " + store.PathOf("elsewhere"), store.Open().Do("SELECT * FROM t; PRAGMA recovery_store"));
        Assert.Equal(["a.db"], Recovery.Databases(store.PathOf("elsewhere")));
    }

    [Fact]
    public void Options_come_from_the_stores_config_file_too()
    {
        using var store = new TestStore();
        Directory.CreateDirectory(store.PathOf(".recovery"));
        File.WriteAllText(store.PathOf(".recovery/config"), "# ours\nisolation = locking\npage-cache = 8M\n");
        Assert.Equal("locking 8388608", store.Open().Do("PRAGMA recovery_isolation; PRAGMA recovery_page_cache"));
        Assert.Equal("snapshot", store.Open(options: "isolation=snapshot").Do("PRAGMA recovery_isolation"));
    }

    [Theory]
    [InlineData("isolation = locking\n\nremot = s3://bucket/app\n", "Line 3", "'remot'")]
    [InlineData("remote s3://bucket/app\n", "Line 1", "name = value")]
    public void A_mistake_in_the_config_file_is_an_error_that_names_its_line(string config, string line, string what)
    {
        using var store = new TestStore();
        Directory.CreateDirectory(store.PathOf(".recovery"));
        File.WriteAllText(store.PathOf(".recovery/config"), config);
        Assert.ThrowsAny<Exception>(() => store.Open().Do("CREATE TABLE t(x)"));
        Assert.Contains(line, Recovery.LastError);
        Assert.Contains(what, Recovery.LastError);
        Assert.Contains(store.PathOf(".recovery/config"), Recovery.LastError);
    }

    [Fact]
    public void Listing_deleting_and_renaming()
    {
        using var store = new TestStore();
        foreach (var name in (string[])["b.db", "a.db", "c.db"])
            store.Open(name).Do($"CREATE TABLE t(x); INSERT INTO t VALUES('{name}')");
        Assert.Equal(["a.db", "b.db", "c.db"], Recovery.Databases(store.Directory));
        Assert.Equal("a.db\nb.db\nc.db", store.Open().Do("PRAGMA recovery_databases").Replace(' ', '\n'));
        Assert.Throws<RecoveryLog.RecoveryException>(() => Recovery.Rename(store.PathOf("b.db"), store.PathOf("d.db")));
        store.Close();
        Recovery.Delete(store.PathOf("c.db"));
        Recovery.Rename(store.PathOf("b.db"), store.PathOf("d.db"));
        store.Close();
        Assert.Equal(["a.db", "d.db"], Recovery.Databases(store.Directory));
        Assert.Equal("b.db", store.Open("d.db").Do("SELECT x FROM t"));
        Assert.False(File.Exists(store.PathOf("c.db")));
        Assert.Equal("0", store.Open("c.db").Do("SELECT count(*) FROM sqlite_master"));
        Assert.Throws<RecoveryLog.RecoveryException>(() => Recovery.Delete(store.PathOf("none.db")));
    }

    [Fact]
    public void Deleting_under_an_open_connection()
    {
        using var store = new TestStore();
        var old = store.Open();
        old.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        Recovery.Delete(store.PathOf("a.db"));
        Assert.Equal("1", old.Do("SELECT * FROM t"));
        Assert.StartsWith("!", old.Try("INSERT INTO t VALUES(2)"));
        var fresh = store.Open();
        fresh.Do("CREATE TABLE u(y); INSERT INTO u VALUES(5)");
        Assert.Equal("1", old.Do("SELECT * FROM t"));
        store.Close();
        Assert.Equal("u", store.Open().Do("SELECT name FROM sqlite_master"));
    }

    [Theory, InlineData("delete"), InlineData("wal")]
    public void Import_and_export(string mode)
    {
        using var store = new TestStore();
        using var plain = new SqliteConnection($"Data Source={store.PathOf("p.db")};Pooling=false");
        plain.Open();
        plain.Do($"PRAGMA page_size=1024; PRAGMA journal_mode={mode}; CREATE TABLE t(x); WITH c(i) AS (SELECT 1 "
            + "UNION ALL SELECT i+1 FROM c WHERE i<500) INSERT INTO t SELECT i||hex(zeroblob(100)) FROM c");
        Recovery.Import(store.PathOf("p.db"), store.PathOf("in.db"));
        var expected = plain.Do("SELECT count(*), sum(length(x)), max(x) FROM t");
        Assert.Equal(expected + " ok 1024",
            store.Open("in.db")
            .Do("SELECT count(*), sum(length(x)), max(x) FROM t; PRAGMA integrity_check; PRAGMA page_size"));
        Recovery.Export(store.PathOf("in.db"), store.PathOf("out.db"));
        using (var exported = new SqliteConnection($"Data Source={store.PathOf("out.db")};Pooling=false"))
        {
            exported.Open();
            Assert.Equal(expected + " ok",
                exported.Do("SELECT count(*), sum(length(x)), max(x) FROM t; PRAGMA integrity_check"));
        }
        Assert.Throws<RecoveryLog.RecoveryException>(()
            => Recovery.Import(store.PathOf("p.db"), store.PathOf("in.db")));
        Assert.Throws<RecoveryLog.RecoveryException>(()
            => Recovery.Export(store.PathOf("in.db"), store.PathOf("out.db")));
        plain.Dispose();
        Recovery.Import(store.PathOf("p.db"), store.PathOf("p.db"));
        Assert.Equal(expected, store.Open("p.db").Do("SELECT count(*), sum(length(x)), max(x) FROM t"));
        Assert.True(File.Exists(store.PathOf("p.db.plain")));
    }

    [Theory, InlineData(512), InlineData(4096), InlineData(65536)]
    public void An_import_takes_the_pages_as_they_are_and_leaves_the_locks_of_others(int pageSize)
    {
        using var store = new TestStore();
        using var plain = new SqliteConnection($"Data Source={store.PathOf("p.db")};Pooling=false");
        plain.Open();
        plain.Do($"PRAGMA page_size={pageSize}; CREATE TABLE t(x); WITH c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c "
            + "WHERE i<9000) INSERT INTO t SELECT randomblob(300) FROM c");
        // Another connection of this process is about to write: its lock must outlive whatever looks at the file.
        plain.Do("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
        Assert.ThrowsAny<SqliteException>(() => store.Open("p.db"));
        Recovery.Import(store.PathOf("p.db"), store.PathOf("in.db"));
        using (var other = new SqlShell())
        {
            Assert.Equal("ok", other.Ask("open " + store.PathOf("p.db")));
            Assert.StartsWith("!5", other.Ask("BEGIN IMMEDIATE"));
            other.Finish();
        }
        plain.Do("ROLLBACK");
        Recovery.Export(store.PathOf("in.db"), store.PathOf("out.db"));
        // SQLite's backup, by which it comes out again, counts the schema's version up.
        Assert.Equal(File.ReadAllBytes(store.PathOf("p.db"))[100..], File.ReadAllBytes(store.PathOf("out.db"))[100..]);
    }

    [Fact]
    public void An_import_whose_commit_finds_no_room_leaves_nothing()
    {
        using var store = new TestStore("max-local-log=4M");
        using (var plain = new SqliteConnection($"Data Source={store.PathOf("p.db")};Pooling=false"))
        {
            plain.Open();
            plain.Do("CREATE TABLE t(x); WITH c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<30000) "
                + "INSERT INTO t SELECT randomblob(300) FROM c");
        }
        store.Open("other.db").Do("CREATE TABLE t(x)");
        var error = Assert.Throws<RecoveryLog.RecoveryException>(
            () => Recovery.Import(store.PathOf("p.db"), store.PathOf("in.db")));
        Assert.True(error.Error == RecoveryLog.RecoveryError.Full, error.ToString());
        Assert.Contains("max-local-log", error.Message);
        Assert.Equal("0", store.Open("in.db").Do("SELECT count(*) FROM sqlite_master"));
    }

    [Fact]
    public void Vacuum_into_and_temporary_tables()
    {
        using var store = new TestStore();
        var db = store.Open();
        db.Do("PRAGMA cache_size=5; PRAGMA temp_store=FILE; CREATE TABLE t(x); WITH c(i) AS (SELECT 1 UNION ALL "
            + "SELECT i+1 FROM c WHERE i<2000) INSERT INTO t SELECT zeroblob(300) FROM c");
        db.Do($"VACUUM INTO '{store.UriOf("v.db")}'");
        Assert.Equal("2000 ok", store.Open("v.db").Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        db.Do("CREATE TEMP TABLE u AS SELECT * FROM t; INSERT INTO u SELECT * FROM t; DELETE FROM u WHERE rowid<10");
        Assert.Equal("3991", db.Do("SELECT count(*) FROM u"));
        Assert.Equal(["a.db", "v.db"], Recovery.Databases(store.Directory));
    }

    [Fact]
    public void Dapper_and_commands_work_unchanged()
    {
        using var store = new TestStore();
        var db = store.Open(timeoutSeconds: 5);
        db.Execute("CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT)");
        using (var transaction = db.BeginTransaction())
        {
            foreach (var name in (string[])["Ada", "Grace"])
                db.Execute("INSERT INTO person(name) VALUES(@name)", new { name }, transaction);
            transaction.Commit();
        }
        Assert.Equal(["Ada", "Grace"], store.Open().Query<string>("SELECT name FROM person ORDER BY id"));
    }

    [Fact]
    public void Pragmas_answer()
    {
        using var store = new TestStore();
        var db = store.Open();
        db.Do("CREATE TABLE t(x)");
        var status = db.Do("PRAGMA recovery_status");
        Assert.Contains("isolation: snapshot", status);
        Assert.Contains("state: ok", status);
        var lsn = long.Parse(db.Do("PRAGMA recovery_lsn"));
        db.Do("PRAGMA synchronous=OFF; INSERT INTO t VALUES(1)");
        Assert.True(long.Parse(db.Do("PRAGMA recovery_lsn")) > lsn);
        Assert.True(long.Parse(db.Do("PRAGMA recovery_checkpoint; PRAGMA recovery_durable_lsn").Split(' ')[1]) > lsn);
        db.Do("PRAGMA recovery_checkpoint");
        Assert.Equal("ok ok auto",
            db.Do("PRAGMA recovery_verify; PRAGMA recovery_verify(store); PRAGMA recovery_journal"));
        Assert.True(long.Parse(db.Do("PRAGMA recovery_compact")) > 0);
        Assert.Equal("1", db.Do("SELECT count(*) FROM t"));
        Assert.Equal("!1", db.Try("PRAGMA recovery_isolation=wrong"));
        Assert.Equal("!1", db.Try("PRAGMA recovery_page_cache=5"));
        Assert.Equal("", db.Do("PRAGMA recovery_unknown; PRAGMA recovery"));
        Assert.Equal("0", db.Do("PRAGMA mmap_size"));
    }

    [Fact]
    public async Task Writers_and_readers_go_on_while_a_store_is_compacted()
    {
        using var store = new TestStore();
        using var db = store.Open(timeoutSeconds: 30);
        db.Do("PRAGMA synchronous=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, fill BLOB)");
        db.Do("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<10000) INSERT INTO t SELECT x, "
            + "0, randomblob(2000) FROM c; PRAGMA recovery_checkpoint");
        using var stop = new CancellationTokenSource();
        var (committed, during) = (0, 0);
        var writing = Task.Run(() =>
        {
            using var writer = store.Open(timeoutSeconds: 30);
            writer.Do("PRAGMA synchronous=OFF");
            while (!stop.IsCancellationRequested)
            {
                writer.Do($"UPDATE t SET n=n+1, fill=randomblob(1900) WHERE id % 500 = {committed % 500}");
                Interlocked.Increment(ref committed);
            }
        });
        var reading = Task.Run(() =>
        {
            using var reader = store.Open(timeoutSeconds: 30);
            while (!stop.IsCancellationRequested)
            {
                var before = Volatile.Read(ref committed);
                var updated = long.Parse(reader.Do("SELECT sum(n) FROM t"));
                Assert.InRange(updated, 20L * before, 20L * (Volatile.Read(ref committed) + 1));
            }
        });
        try
        {
            for (var i = 0; i < 5; i++)
            {
                // Each has something to collect.
                var begun = Volatile.Read(ref committed);
                Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref committed) > begun + 50
                    || writing.IsCompleted, TimeSpan.FromSeconds(60)));
                begun = Volatile.Read(ref committed);
                db.Do("PRAGMA recovery_compact");
                during += Volatile.Read(ref committed) - begun;
            }
            Assert.True(during > 0, "no commit came through during any compaction");
        }
        finally
        {
            stop.Cancel();
            await Task.WhenAll(writing, reading);
        }
        Assert.Equal($"{20L * committed} ok", db.Do("SELECT sum(n) FROM t; PRAGMA integrity_check"));
    }

    [Fact]
    public void Thousands_of_opens_and_recreations_are_cheap()
    {
        using var store = new TestStore();
        for (var i = 0; i < 300; i++)
        {
            using var db = store.Open($"{i % 3}.db");
            db.Do("PRAGMA synchronous=OFF; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
            db.Dispose();
            Recovery.Delete(store.PathOf($"{i % 3}.db"));
        }
        Assert.Empty(Recovery.Databases(store.Directory));
    }
}
