namespace RecoveryVfs.Tests;

/// <summary>Stores whose pages are all in memory, and that ship to a remote: they come back from it.</summary>
public sealed class MemoryRemoteTests : IDisposable
{
    readonly TestStore store = new();

    public MemoryRemoteTests() => Directory.CreateDirectory(store.PathOf("data"));

    public void Dispose() => store.Dispose();

    string Remote => "file://" + store.PathOf("remote");

    string Options => "pages=memory&sync-interval=20&remote=" + Uri.EscapeDataString(Remote);

    const string Sum = "SELECT sum(x) FROM t";

    [Fact]
    public async Task One_is_lost_and_comes_back_in_memory_or_in_files()
    {
        using (var db = store.Open("data/a.db", Options))
        using (var wal = store.Open("data/w.db", Options))
        {
            db.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
            wal.Do("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(2)");
            // From these hints on, and from the log since.
            db.Do("PRAGMA recovery_snapshot; INSERT INTO t VALUES(10)");
            foreach (var name in (string[])["kind", "ms", "bytes", "seconds_ago"])
                Assert.Contains($"remote_hints_{name}: ", db.Do("PRAGMA recovery_status"));
            wal.Do("INSERT INTO t VALUES(20); PRAGMA recovery_sync");
        }
        store.Close();
        Directory.Delete(store.PathOf("data"), recursive: true);
        using (var db = store.Open("data/a.db", Options + "&auto-restore=on"))
        using (var wal = store.Open("data/w.db", Options))
        {
            Assert.Equal("11 22", $"{db.Do(Sum)} {wal.Do(Sum)}");
            Assert.Contains("pages_in_memory", db.Do("PRAGMA recovery_status"));
            db.Do("INSERT INTO t VALUES(100); PRAGMA recovery_sync");
            Assert.Equal("ok", db.Do("PRAGMA recovery_verify"));
        }
        store.Close();
        // The same directory, read from files.
        using (var db = store.Open("data/a.db", "remote=" + Uri.EscapeDataString(Remote)))
        {
            Assert.Equal("111", db.Do(Sum));
            db.Do("INSERT INTO t VALUES(1000); PRAGMA recovery_sync");
        }
        store.Close();
        using (var db = store.Open("data/a.db", Options)) Assert.Equal("1111", db.Do(Sum));
        await Recovery.RestoreFileAsync(Remote, store.PathOf("plain"), new RestoreOptions { Database = "a.db" });
        using var plain = new Microsoft.Data.Sqlite.SqliteConnection(
            $"Data Source={store.PathOf("plain")};Pooling=false");
        plain.Open();
        Assert.Equal("1111 ok", plain.Do(Sum) + " " + plain.Do("PRAGMA integrity_check"));
    }

    /// <summary>One that began without a remote has everything in its log, from the first record on.</summary>
    [Fact]
    public async Task One_that_had_no_remote_is_given_one_and_its_log_stays_within_its_bound()
    {
        using (var db = store.Open("data/a.db", "pages=memory"))
            db.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        store.Close();
        Assert.False(File.Exists(store.PathOf("data/.recovery/pages/CURRENT")));
        using (var db = store.Open("data/a.db", Options + "&max-local-log=8M"))
        {
            Assert.Equal("1", db.Do(Sum));
            db.Do("CREATE TABLE big(x)");
            // Three times what the log may have. What is not shipped is not dropped.
            for (var i = 0; i < 24; i++)
                db.Do("DELETE FROM big; INSERT INTO big VALUES(randomblob(1000000)); PRAGMA recovery_sync");
            db.Do("INSERT INTO t VALUES(10); PRAGMA recovery_sync");
            Assert.Equal("ok", db.Do("PRAGMA recovery_verify"));
        }
        store.Close();
        await Recovery.RestoreAsync(Remote, store.PathOf("back"));
        using var back = store.Open("back/a.db", "pages=memory");
        Assert.Equal("11 1000000", back.Do($"{Sum}; SELECT length(x) FROM big"));
    }
}
