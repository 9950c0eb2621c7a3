using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Tests;

/// <summary>SQLite reads a follower whose pages come when they are read.</summary>
public sealed class LazyTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    string Remote => "file://" + store.PathOf("remote");

    SqliteConnection Follower(string fetch = "lazy") => store.Open("follower/a.db",
        $"mode=ro&linger=0&follow-interval=20&fetch={fetch}&follow=" + Uri.EscapeDataString(Remote));

    /// <summary>Two tables of one database, in a blob file each.</summary>
    SqliteConnection Write()
    {
        var writer = store.Open("a.db", "sync-interval=10&remote=" + Uri.EscapeDataString(Remote));
        foreach (var table in (string[])["t", "u"])
        {
            writer.Do($"CREATE TABLE {table}(id INTEGER PRIMARY KEY, v BLOB)");
            writer.Do("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<2000) "
                + $"INSERT INTO {table} SELECT x, randomblob(500) FROM c");
            writer.Do("PRAGMA recovery_snapshot");
        }
        return writer;
    }

    static string SumOf(SqliteConnection connection, string table) =>
        connection.Do($"SELECT count(*), sum(unicode(hex(v))) FROM {table}");

    [Fact]
    public async Task What_is_asked_for_is_fetched_and_the_pragma_says_how_much()
    {
        using var writer = Write();
        using (var follower = Follower())
        {
            Assert.Equal(writer.Do("SELECT hex(v) FROM u WHERE id = 7"),
                follower.Do("SELECT hex(v) FROM u WHERE id = 7"));
            var said = follower.Do("PRAGMA recovery_fetched").Split(' ');
            var (here, all) = (long.Parse(said[0], CultureInfo.InvariantCulture),
                long.Parse(said[2], CultureInfo.InvariantCulture));
            Assert.InRange(here, 1, all - 1);
            var status = await Recovery.StatusAsync(store.PathOf("follower"));
            // The end of a file may come a moment later.
            Assert.InRange(status.Fetched!.Value.BytesHere, here, all);
            Assert.Equal(all, status.Fetched.Value.Bytes);
            Assert.Contains("fetched_bytes_max: " + all, follower.Do("PRAGMA recovery_status"));
            Assert.Equal(SumOf(writer, "t"), SumOf(follower, "t"));
            Assert.Equal(SumOf(writer, "u"), SumOf(follower, "u"));
            Assert.Equal("ok", follower.Do("PRAGMA recovery_verify"));
        }
        Recovery.CloseIdleStores();
        // A file whose pages were all written again is not read by anybody.
        using var again = Follower("background");
        Assert.True(SpinWait.SpinUntil(() => again.Do("PRAGMA recovery_fetched") == "all", TimeSpan.FromMinutes(2)));
        Assert.True(SpinWait.SpinUntil(() => Recovery.StatusAsync(store.PathOf("follower")).Result.Fetched is null,
            TimeSpan.FromMinutes(2)));
        Assert.Equal(SumOf(writer, "t"), SumOf(again, "t"));
    }

    [Fact]
    public void Without_the_remote_the_rest_is_an_error_that_says_so()
    {
        using var writer = Write();
        using var follower = Follower();
        Assert.Equal(writer.Do("SELECT hex(v) FROM u WHERE id = 7"), follower.Do("SELECT hex(v) FROM u WHERE id = 7"));
        store.WaitForPins(2);
        Directory.Move(store.PathOf("remote"), store.PathOf("away"));
        Assert.Equal(writer.Do("SELECT hex(v) FROM u WHERE id = 7"), follower.Do("SELECT hex(v) FROM u WHERE id = 7"));
        Assert.StartsWith("!", follower.Try("SELECT count(*), sum(unicode(hex(v))) FROM t"));
        Assert.Contains("are not here", follower.Do("SELECT recovery_last_error()"));
        Directory.Move(store.PathOf("away"), store.PathOf("remote"));
        Assert.Equal(SumOf(writer, "t"), SumOf(follower, "t"));
    }

    [Fact]
    public void A_misspelt_word_is_refused()
    {
        using var writer = Write();
        var refused = Assert.Throws<SqliteException>(() => Follower("lasy"));
        Assert.NotNull(refused);
    }
}
