namespace RecoveryVfs.Tests;

public class SmokeTests(Xunit.Abstractions.ITestOutputHelper output)
{
    [Fact]
    public void These_tests_run_on_e_sqlite3_3_53_4()
    {
        using var store = new TestStore();
        var version = store.Open().Do("SELECT sqlite_version()");
        output.WriteLine(version);
        Assert.Equal("3.53.4", version);
    }

    [Theory]
    [InlineData("delete"), InlineData("truncate"), InlineData("persist"), InlineData("memory"), InlineData("off"),
        InlineData("wal")]
    public void What_was_committed_is_there_after_reopening(string mode)
    {
        using var store = new TestStore();
        var db = store.Open();
        Assert.Equal(mode, db.Do($"PRAGMA journal_mode={mode}"));
        db.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1); INSERT INTO t VALUES(2)");
        store.Close();
        db = store.Open();
        Assert.Equal("2 ok", db.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
        db.Do("INSERT INTO t VALUES(3)");
        Assert.Equal("3", store.Open().Do("SELECT count(*) FROM t"));
        Assert.Equal("ok", db.Do("PRAGMA recovery_verify"));
    }
}
