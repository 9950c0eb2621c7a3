using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Tests;

/// <summary>A moment of a remote's past, opened as a database: it stays as it was.</summary>
public sealed class MomentTests : IDisposable
{
    readonly TestStore store = new();
    int directories;

    public void Dispose() => store.Dispose();

    string Remote => "file://" + store.PathOf("remote");

    SqliteConnection Moment(string moment, string fetch = "lazy", string? directory = null) => store.Open(
        $"{directory ?? $"moment{directories++}"}/a.db",
        $"mode=ro&linger=0&fetch={fetch}&{moment}&follow=" + Uri.EscapeDataString(Remote));

    /// <summary>
    /// Commits of one row each, with hints between; returns the LSN after each. The rows are large, so that their file
    /// does not come whole with the first that is read of it.
    /// </summary>
    List<string> Write(SqliteConnection writer)
    {
        writer.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)");
        var lsns = new List<string>();
        for (var i = 1; i <= 8; i++)
        {
            writer.Do($"INSERT INTO t VALUES({i}, randomblob(300000))");
            lsns.Add(writer.Do("PRAGMA recovery_lsn"));
            if (i % 3 == 0) writer.Do("PRAGMA recovery_snapshot");
        }
        writer.Do("PRAGMA recovery_sync");
        return lsns;
    }

    SqliteConnection OpenWriter() => store.Open("a.db", "sync-interval=10&remote=" + Uri.EscapeDataString(Remote));

    static string SumsOf(SqliteConnection connection, int rows) =>
        connection.Do($"SELECT count(*), max(id), sum(unicode(hex(v))) FROM t WHERE id <= {rows}");

    [Theory]
    [InlineData("lazy")]
    [InlineData("all")]
    public void Each_commit_can_be_opened_and_does_not_move(string fetch)
    {
        using var writer = OpenWriter();
        var lsns = Write(writer);
        for (var i = 1; i < lsns.Count; i += 2)
        {
            using var moment = Moment("lsn=" + lsns[i], fetch);
            Assert.Equal(SumsOf(writer, i + 1), SumsOf(moment, 1000));
            Assert.Equal(lsns[i], moment.Do("PRAGMA recovery_lsn"));
            var status = moment.Do("PRAGMA recovery_status");
            Assert.Contains("follower_state: still", status);
            Assert.Contains("moment: LSN " + lsns[i], status);
            Assert.Equal("0", moment.Do("PRAGMA recovery_lag"));
            writer.Do($"INSERT INTO t VALUES({100 + i}, 'later')");
            writer.Do("PRAGMA recovery_sync");
            Assert.Equal(SumsOf(writer, i + 1), SumsOf(moment, 1000));
        }
    }

    [Fact]
    public void What_was_read_of_it_can_be_read_again_without_the_remote()
    {
        using var writer = OpenWriter();
        var lsns = Write(writer);
        using (var moment = Moment("lsn=" + lsns[4], directory: "kept"))
        {
            moment.Do("SELECT max(id) FROM t");
            store.WaitForPins(1);
            Assert.Equal(SumsOf(writer, 5), SumsOf(moment, 1000));
        }
        Recovery.CloseIdleStores();
        Directory.Move(store.PathOf("remote"), store.PathOf("away"));
        using (var moment = Moment("lsn=" + lsns[4], directory: "kept"))
            Assert.Equal(SumsOf(writer, 5), SumsOf(moment, 1000));
        Directory.Move(store.PathOf("away"), store.PathOf("remote"));
    }

    [Fact]
    public void A_time_is_a_moment_too()
    {
        using var writer = OpenWriter();
        var lsns = Write(writer);
        var time = writer.Do($"SELECT time FROM recovery_log() WHERE lsn = {lsns[4]}");
        // Two commits may have one time.
        var rows = writer.Do("SELECT count(*) FROM recovery_log() WHERE time <= "
            + $"'{time}' AND lsn IN ({string.Join(',', lsns)})");
        using (var moment = Moment("timestamp=" + Uri.EscapeDataString(time)))
            Assert.Equal(SumsOf(writer, int.Parse(rows, CultureInfo.InvariantCulture)), SumsOf(moment, 1000));
        using var later = Moment("timestamp=" + DateTimeOffset.UtcNow.AddHours(1).ToString("yyyy-MM-ddTHH:mm:ssZ",
            CultureInfo.InvariantCulture));
        Assert.Equal(SumsOf(writer, 1000), SumsOf(later, 1000));
    }

    [Fact]
    public void Another_moment_in_its_directory_is_refused_and_so_is_one_that_is_not_there()
    {
        using var writer = OpenWriter();
        var lsns = Write(writer);
        using (var moment = Moment("lsn=" + lsns[2], directory: "one")) SumsOf(moment, 1000);
        using (Moment("lsn=" + lsns[2], directory: "one"))
            Refused("lsn=" + lsns[3], "not LSN " + lsns[3], "one");
        Recovery.CloseIdleStores();
        Refused("lsn=" + lsns[3], "not LSN " + lsns[3], "one");
        Refused("linger=0", "not the newest state", "one");
        using (var newest = Moment("linger=0", directory: "two")) SumsOf(newest, 1000);
        Recovery.CloseIdleStores();
        Refused("lsn=" + lsns[3], "shows the newest state", "two");
        Refused("lsn=1000000", "1000000 is not in");
        Refused("lsn=0", "lsn");
        Refused("lsn=3&timestamp=2026-01-01", "two moments");
        Refused("timestamp=2001-01-01", "before");
        Assert.Throws<SqliteException>(() => store.Open("b.db", "mode=ro&lsn=5"));
        Assert.Contains("follow=URL", Recovery.LastError);
    }

    void Refused(string moment, string why, string? directory = null)
    {
        Assert.Throws<SqliteException>(() =>
        {
            using var opened = Moment(moment, directory: directory);
            SumsOf(opened, 1000);
        });
        Assert.Contains(why, Recovery.LastError);
    }
}
