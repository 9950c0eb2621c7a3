using System.Diagnostics;

namespace RecoveryVfs.Tests;

/// <summary>Who removes the file of a database deletes the database; who restores or copies a store does not.</summary>
public sealed class RemovedStubTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    void Write(string value, string mode = "delete")
    {
        store.Open().Do($"PRAGMA journal_mode={mode}; CREATE TABLE t(x); INSERT INTO t VALUES('{value}')");
        store.Close();
    }

    [Fact]
    public void Creating_after_the_file_was_removed_makes_a_new_database_and_keeps_the_old_one()
    {
        Write("old");
        File.Delete(store.PathOf("a.db"));
        foreach (var options in (string[])["mode=ro", "mode=rw"])
            Assert.ThrowsAny<Exception>(() => store.Open(options: options).Do("SELECT * FROM t"));
        store.Close();
        var fresh = store.Open();
        Assert.Equal("0", fresh.Do("SELECT count(*) FROM sqlite_master"));
        fresh.Do("CREATE TABLE t(x); INSERT INTO t VALUES('new')");
        Assert.Equal("a.db", fresh.Do("PRAGMA recovery_databases"));
        store.Close();
        Assert.Equal(["a.db"], Recovery.Databases(store.Directory));
        Assert.Contains("exists already",
            Assert.Throws<RecoveryLog.RecoveryException>(() => Recovery.Undelete(store.PathOf("a.db"))).Message);
        Recovery.Undelete(store.PathOf("a.db"), store.PathOf("old.db"));
        store.Close();
        Assert.Equal("new", store.Open().Do("SELECT x FROM t"));
        Assert.Equal("old ok", store.Open("old.db").Do("SELECT x FROM t; PRAGMA integrity_check"));
        Assert.Throws<RecoveryLog.RecoveryException>(()
            => Recovery.Undelete(store.PathOf("a.db"), store.PathOf("third.db")));
    }

    [Fact]
    public void A_wal_that_was_left_comes_back_with_its_database_and_does_not_reach_the_new_one()
    {
        using (var db = store.Open())
        {
            Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
            db.Do("PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x); INSERT INTO t VALUES('in "
                + "the wal')");
            SQLitePCL.raw.sqlite3_db_config(db.Handle, 1006, 1, out _); // SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE
        }
        store.Close();
        File.Delete(store.PathOf("a.db"));
        Assert.Equal("0", store.Open().Do("SELECT count(*) FROM sqlite_master"));
        store.Close();
        Recovery.Undelete(store.PathOf("a.db"));
        store.Close();
        Assert.Equal("in the wal", store.Open().Do("SELECT x FROM t"));
    }

    [Fact]
    public void A_store_that_was_copied_or_restored_without_its_stubs_has_its_databases()
    {
        Write("kept");
        Directory.CreateDirectory(store.PathOf("copy"));
        using (var copying = Process.Start("cp", ["-r", store.PathOf(".recovery"), store.PathOf("copy/.recovery")]))
            copying.WaitForExit();
        Assert.Equal("kept", store.Open("copy/a.db").Do("SELECT x FROM t"));
        store.Close();
        // A file before the first commit, or a stub that power loss took, is not a deletion either: nothing was seen in
        // place.
        File.Delete(store.PathOf(".recovery/stubs"));
        File.Delete(store.PathOf("a.db"));
        Assert.Equal("kept", store.Open().Do("SELECT x FROM t"));
    }

    [Fact]
    public void What_was_deleted_is_let_go_after_the_retention()
    {
        Write("old");
        File.Delete(store.PathOf("a.db"));
        store.Open().Do("CREATE TABLE t(x)");
        store.Close();
        store.Open(options: "retention=0").Do("SELECT * FROM t");
        store.Close();
        Assert.Throws<RecoveryLog.RecoveryException>(()
            => Recovery.Undelete(store.PathOf("a.db"), store.PathOf("old.db")));
    }

    [Fact]
    public void The_name_of_a_deleted_database_cannot_be_opened()
        => Assert.ThrowsAny<Exception>(() => store.Open("deleted~5~a.db").Do("CREATE TABLE t(x)"));
}
