using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary>Snapshot files of one database, and of some of its pages.</summary>
public sealed class DatabasePieceTests() : PlaceTests("piece")
{
    const string State = "SELECT count(*) || ' ' || sum(length(v)) || ' ' || hex(substr(group_concat(v, ''), 1, 20)) "
        + "FROM t";

    static SqliteConnection Fill(string directory, string name, string options, int rows, string mode = "DELETE")
    {
        var db = Shipped.Open(directory, name, options);
        Shipped.Execute(db, $"PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, v); WITH n(i) AS "
            + $"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO t(v) SELECT randomblob(3000) "
            + "FROM n");
        return db;
    }

    static string StateOf(string file)
    {
        using var db = new SqliteConnection($"Data Source={file};Pooling=False");
        db.Open();
        Assert.Equal("ok", Shipped.Scalar(db, "PRAGMA integrity_check"));
        return Shipped.Scalar(db, State);
    }

    static Outcome Create(string place, string file, params string[] more) =>
        Recover.Run(["snapshot", "create", place, "-o", file, "--json", .. more]);

    [Fact]
    public void One_database_of_a_store_in_use_comes_back_from_its_pieces_in_any_order()
    {
        using var db = Fill(Data, "a.db", "", 700);
        using var wal = Fill(Data, "w.db", "", 20, "WAL");
        var (a, w) = (Shipped.Scalar(db, State), Shipped.Scalar(wal, State));
        Assert.Contains("--database", Create(Data, Place("x"), "--pages", "1..2").MustEndWith(2).Errors);
        var whole = Create(Data, Place("whole"), "--database", "a.db").MustEndWith(0).Json;
        Assert.Equal(("pages", "a.db"), (whole.GetProperty("kind").GetString(),
            whole.GetProperty("database").GetString()));
        Create(Data, Place("1"), "--database", "a.db", "--pages", "..300").MustEndWith(0);
        var second = Create(Data, Place("2"), "--database", "a.db", "--pages", "301..").MustEndWith(0).Json;
        Assert.InRange(second.GetProperty("bytes").GetInt64(), 1, whole.GetProperty("bytes").GetInt64() * 2 / 3);
        Create(Data, Place("w"), "--database", "w.db").MustEndWith(0);
        Assert.Equal(3, Create(Data, Place("x"), "--database", "a.db", "--pages", "99999..").ExitCode);
        Assert.Equal(3, Create(Data, Place("x"), "--database", "c.db").ExitCode);
        foreach (var pages in (string[])["0..3", "5..4", "7", "a..b", ""])
            Assert.Throws<RecoveryLog.RecoveryException>(() => Operations.PageRange.Parse(pages));
        Recover.Run("snapshot", "verify", Place("2")).MustEndWith(0);

        Recover.Run("snapshot", "restore", Place("whole"), "-o", Place("whole.db")).MustEndWith(0);
        Recover.Run("snapshot", "restore", Place("2"), Place("1"), "-o", Place("joined.db")).MustEndWith(0);
        Recover.Run("snapshot", "restore", Place("w"), "-o", Place("w.db")).MustEndWith(0);
        Assert.Equal(a, StateOf(Place("whole.db")));
        Assert.Equal(File.ReadAllBytes(Place("whole.db")), File.ReadAllBytes(Place("joined.db")));
        Assert.Equal(w, StateOf(Place("w.db")));
        Recover.Run("snapshot", "restore", Place("1"), Place("2"), Place("store")).MustEndWith(0);
        using (var restored = Shipped.Open(Place("store"), "a.db")) Assert.Equal(a, Shipped.Scalar(restored, State));
        Assert.Contains("in none",
            Recover.Run("snapshot", "restore", Place("1"), "-o", Place("x")).MustEndWith(2).Errors);
        Assert.Contains("not of one state",
            Recover.Run("snapshot", "restore", Place("1"), Place("w"), "-o", Place("x")).MustEndWith(2).Errors);
        Shipped.Execute(db, "DELETE FROM t WHERE id = 600");
        Create(Data, Place("later"), "--database", "a.db", "--pages", "301..").MustEndWith(0);
        Assert.Contains("not of one state",
            Recover.Run("snapshot", "restore", Place("1"), Place("later"), "-o", Place("x")).MustEndWith(2).Errors);
        // Software that does not know them says so.
        Assert.Equal(2, File.ReadAllBytes(Place("1"))[8]);
        Damage(Place("w"), Place("x"));
    }

    /// <summary>Whatever byte is wrong, and wherever the file ends: it is said, and nothing is written.</summary>
    static void Damage(string file, string to)
    {
        var whole = File.ReadAllBytes(file);
        var random = new Random(3);
        for (var i = 0; i < 12; i++)
        {
            var bytes = whole.ToArray();
            if (i % 2 == 0) bytes[i < 6 ? random.Next(300) : random.Next(bytes.Length)] ^= 0x10;
            else bytes = bytes[..random.Next(bytes.Length)];
            File.WriteAllBytes(file, bytes);
            Assert.ThrowsAny<RecoveryLog.RecoveryException>(() =>
            {
                using var read = RecoveryLog.Remote.Archives.ArchiveFile.Open(file);
                RecoveryLog.Remote.Archives.PagesArchive.Join([read], mayLack: false);
            });
        }
        Recover.Run("snapshot", "restore", file, "-o", to).MustEndWith(4);
        Assert.False(File.Exists(to));
    }

    [Fact]
    public void Of_a_remote_no_more_is_fetched_than_its_pages_need()
    {
        var options = "&sync-interval=20&remote=" + Uri.EscapeDataString(Remote);
        using var other = Fill(Data, "b.db", options, 2000);
        Shipped.Execute(other, "PRAGMA recovery_snapshot");
        using var db = Fill(Data, "a.db", options, 100);
        var state = Shipped.Scalar(db, State);
        Shipped.Execute(db, "PRAGMA recovery_snapshot");
        var lsn = Shipped.Scalar(db, "PRAGMA recovery_lsn");
        Shipped.Execute(db, "DELETE FROM t; PRAGMA recovery_sync");
        db.Dispose();
        other.Dispose();
        Shipped.Close();
        // What should be the pages of the other one is nothing any more: whoever fetches it is told.
        var largest = new DirectoryInfo(Path.Combine(new Uri(Remote).LocalPath, "extents")).EnumerateFiles()
            .MaxBy(f => f.Length)!;
        Assert.True(largest.Length > 4 << 20);
        File.WriteAllBytes(largest.FullName, new byte[largest.Length]);
        Create(Remote, Place("1"), "--database", "a.db", "--lsn", lsn, "--pages", "1..50").MustEndWith(0);
        Create(Remote, Place("2"), "--database", "a.db", "--lsn", lsn, "--pages", "51..").MustEndWith(0);
        Recover.Run("snapshot", "restore", Place("1"), Place("2"), "-o", Place("a.db")).MustEndWith(0);
        Assert.Equal(state, StateOf(Place("a.db")));
        Create(Remote, Place("all"), "--lsn", lsn).MustEndWith(4);
    }
}
