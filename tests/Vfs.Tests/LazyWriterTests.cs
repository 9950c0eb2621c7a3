using Microsoft.Data.Sqlite;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Tests;

/// <summary>A machine that has nothing, and an application there that writes before its pages are there.</summary>
public sealed class LazyWriterTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    string Options => "linger=0&auto-restore=lazy&sync-interval=20&remote="
        + Uri.EscapeDataString("file://" + store.PathOf("remote"));

    /// <summary>Two tables, in a blob file each, and a commit that only the log has. The machine is lost.</summary>
    (string T, string U, string Bookmark) WriteAndLose()
    {
        Directory.CreateDirectory(store.PathOf("data"));
        (string, string, string) sums;
        using (var writer = store.Open("data/a.db", Options))
        {
            foreach (var table in (string[])["t", "u"])
            {
                writer.Do($"CREATE TABLE {table}(id INTEGER PRIMARY KEY, v BLOB)");
                writer.Do("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<2000) "
                    + $"INSERT INTO {table} SELECT x, randomblob(500) FROM c");
                writer.Do("PRAGMA recovery_snapshot");
            }
            writer.Do("INSERT INTO t VALUES(5000, 'only in the log'); PRAGMA recovery_sync");
            sums = (SumOf(writer, "t"), SumOf(writer, "u"), writer.Do("PRAGMA recovery_bookmark"));
        }
        store.Close();
        Directory.Delete(store.PathOf("data"), recursive: true);
        return sums;
    }

    static string SumOf(SqliteConnection connection, string table) =>
        connection.Do($"SELECT count(*), sum(unicode(hex(v))) FROM {table} WHERE id <= 5000");

    [Theory]
    [InlineData("delete")]
    [InlineData("wal")]
    public async Task It_reads_and_writes_and_can_be_taken_back(string journal)
    {
        var (t, u, bookmark) = WriteAndLose();
        using (var writer = store.Open("data/a.db", Options))
        {
            writer.Do($"PRAGMA journal_mode={journal}; INSERT INTO u VALUES(9000, 'new')");
            Assert.Equal(t, SumOf(writer, "t"));
            writer.Do("UPDATE t SET v = 'gone' WHERE id % 3 = 0");
            Assert.NotEqual(t, SumOf(writer, "t"));
            writer.Do("PRAGMA recovery_sync");
            await Recovery.RollbackAsync(store.PathOf("data"), bookmark);
            Assert.Equal(t, SumOf(writer, "t"));
            Assert.Equal("0", writer.Do("SELECT count(*) FROM u WHERE id = 9000"));
            Assert.Equal("ok", writer.Do("PRAGMA integrity_check"));
            Assert.Equal("ok", writer.Do("PRAGMA recovery_verify"));
            Assert.True(SpinWait.SpinUntil(() => writer.Do("PRAGMA recovery_fetched") == "all",
                TimeSpan.FromMinutes(2)));
        }
        store.Close();
        Directory.Move(store.PathOf("remote"), store.PathOf("away"));
        using var reader = store.Open("data/a.db", "mode=ro");
        Assert.Equal(u, SumOf(reader, "u"));
    }

    [Fact]
    public void Who_looks_first_and_only_reads_restores_all()
    {
        var (t, _, _) = WriteAndLose();
        using (var reader = store.Open("data/a.db", "mode=ro&" + Options)) Assert.Equal(t, SumOf(reader, "t"));
        Assert.False(File.Exists(store.PathOf("data/.recovery/lazy")));
        Directory.Move(store.PathOf("remote"), store.PathOf("away"));
        using var other = store.Open("data/a.db", "mode=ro");
        Assert.Equal(t, SumOf(other, "t"));
    }
}
