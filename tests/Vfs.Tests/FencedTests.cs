namespace RecoveryVfs.Tests;

/// <summary>
/// A writer whose remote was taken over acknowledges nothing more, whatever its journal mode: what it would write is on
/// no line of history that goes on.
/// </summary>
public sealed class FencedTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    string Options => "auto-restore=on&sync-interval=20&remote="
        + Uri.EscapeDataString("file://" + store.PathOf("remote"));

    [Theory]
    [InlineData("wal", "full")]
    [InlineData("wal", "normal")]
    [InlineData("wal", "off")]
    [InlineData("delete", "full")]
    [InlineData("persist", "off")]
    public void A_fenced_writer_acknowledges_no_commit(string journal, string synchronous)
    {
        foreach (var name in (string[])["old", "new"]) Directory.CreateDirectory(store.PathOf(name));
        var writer = store.Open("old/a.db", Options + "&journal=plain");
        Assert.Equal(journal, writer.Do($"PRAGMA journal_mode={journal}"));
        writer.Do($"PRAGMA synchronous={synchronous}; CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA "
            + "recovery_sync");
        var next = store.Open("new/a.db", Options);
        next.Do("INSERT INTO t VALUES(2); PRAGMA recovery_sync");

        // It may not know yet, and then learns it from what it ships.
        writer.Try("INSERT INTO t VALUES(3)");
        Assert.StartsWith("!", writer.Try("PRAGMA recovery_sync"));
        Assert.StartsWith("!", writer.Try("INSERT INTO t VALUES(4)"));
        Assert.Contains("is fenced", Recovery.LastError);
        Assert.StartsWith("!", writer.Try("BEGIN; INSERT INTO t VALUES(5); COMMIT"));
        writer.Try("ROLLBACK");
        Assert.DoesNotContain("4", writer.Do("SELECT x FROM t"));
        Assert.Equal("1 2", next.Do("SELECT x FROM t"));
    }
}
