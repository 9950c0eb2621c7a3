using System.IO.MemoryMappedFiles;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tests;

/// <summary>
/// A process that writes at random, in every way there is, until it is killed. Each commit says in the database which
/// it is and what the data add up to; its number is in a shared counter once COMMIT has returned.
/// </summary>
public sealed class RandomWriter
{
    const string Sums =
        "SELECT count(*) || ' ' || ifnull(sum(v), 0) || ' ' || ifnull(sum(length(pad)), 0) || ' ' || "
            + "ifnull(sum(unicode(substr(hex(pad), 1, 1))), 0) FROM t";

    /// <summary>The seed of a writer that never lets go of its store.</summary>
    public const int NeverCloses = 0;

    readonly Random random;
    readonly string directory, options;
    readonly int seed;
    readonly MemoryMappedViewAccessor counter;
    SqliteConnection db = null!;
    long n;

    RandomWriter(string directory, int seed, string options, MemoryMappedViewAccessor counter) =>
        (this.directory, this.seed, random, this.options, this.counter) =
            (directory, seed, new Random(seed), options, counter);

    /// <summary>Of a reader's connection: the commit it sees, after checking that the data are that commit's.</summary>
    public static long Check(SqliteConnection reader)
    {
        var found = reader.Do("BEGIN; SELECT n, sums FROM state").Split(' ', 2);
        Assert.Equal(found[1], reader.Do(Sums));
        Assert.Equal("ok", reader.Do("PRAGMA integrity_check"));
        Assert.Equal(found[1], reader.Do(Sums + "; COMMIT"));
        return long.Parse(found[0]);
    }

    public static MemoryMappedFile Counter(string path)
        => MemoryMappedFile.CreateFromFile(path, FileMode.OpenOrCreate, null, 8);

    public static int Run(string[] args)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register(new RecoveryOptions { Linger = TimeSpan.Zero });
        using var counted = Counter(args[2]);
        using var view = counted.CreateViewAccessor();
        var writer = new RandomWriter(args[0], int.Parse(args[1]), args[3], view);
        writer.Open();
        writer.db.Do(
            "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v INT, pad BLOB); CREATE INDEX IF NOT EXISTS i ON "
                + "t(v);"
            + "CREATE TABLE IF NOT EXISTS state(n INT, sums TEXT); INSERT INTO state SELECT 0, '0 0 0 0' WHERE NOT "
                + "EXISTS (SELECT 1 FROM state)");
        writer.n = long.Parse(writer.db.Do("SELECT n FROM state"));
        writer.Commit();
        Console.WriteLine("ready");
        while (true) writer.Step();
    }

    void Open()
    {
        db = new SqliteConnection(
            new SqliteConnectionStringBuilder
            {
                DataSource = $"file:{directory}/a.db?vfs=recovery&{options}",
                Pooling = false
            }.ToString());
        db.Open();
        db.Do($"PRAGMA cache_size={random.Next(4, 60)}; PRAGMA synchronous={random.Next(4)}");
    }

    void Step()
    {
        switch (random.Next(40))
        {
            case 0:
                db.Try("PRAGMA journal_mode=" + Any("delete", "wal", "wal", "wal", "truncate", "persist", "memory"));
                break;
            case 1:
                db.Do($"PRAGMA synchronous={random.Next(4)}; PRAGMA wal_autocheckpoint={random.Next(5, 200)}");
                break;
            case 2:
                db.Try($"PRAGMA page_size={512 << random.Next(6)}; VACUUM");
                break;
            case 3 or 4:
                db.Try($"PRAGMA wal_checkpoint({Any("PASSIVE", "FULL", "RESTART", "TRUNCATE")})");
                break;
            case 5 or 6:
                db.Do("PRAGMA recovery_checkpoint");
                break;
            case 7 when seed != NeverCloses:
                db.Dispose();
                if (random.Next(2) == 0) Recovery.CloseIdleStores();
                Open();
                break;
            case 8:
                db.Do("BEGIN; DELETE FROM t WHERE id % 2; INSERT INTO t(v, pad) SELECT v, zeroblob(500) FROM t; "
                    + "ROLLBACK");
                break;
            case 9:
                Other();
                break;
            case 10:
                Commit("DELETE FROM t WHERE id > 40");
                break;
            case 11:
                Commit("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE "
                    + $"x<{random.Next(20, 900)}) INSERT INTO t(v, pad) SELECT x, randomblob(500) FROM c");
                break;
            case 12:
                Commit("DROP TABLE IF EXISTS u; CREATE TABLE u AS SELECT * FROM t WHERE v % 3 = 0; DELETE FROM t "
                    + "WHERE id % 5 = 0");
                break;
            default:
                Commit();
                break;
        }
    }

    /// <summary>A second database: committed to together with the first, or deleted.</summary>
    void Other()
    {
        var path = Path.Combine(directory, "b.db");
        if (random.Next(3) == 0 && File.Exists(path))
        {
            Recovery.Delete(path);
            return;
        }
        db.Do($"ATTACH 'file:{path}?vfs=recovery' AS b; CREATE TABLE IF NOT EXISTS b.state(n INT)");
        Commit($"INSERT INTO b.state VALUES({n + 1})");
        db.Do("DETACH b");
    }

    string Any(params string[] of) => of[random.Next(of.Length)];

    void Commit(string change = "")
    {
        db.Do("BEGIN IMMEDIATE");
        for (var i = random.Next(1, 6); i > 0; i--)
            db.Do($"INSERT OR REPLACE INTO t(id, v, pad) VALUES({random.Next(1, 60)}, {random.Next(1000)}, "
                + $"randomblob({random.Next(1, 1500)}))");
        if (change.Length > 0) db.Do(change);
        db.Do($"UPDATE state SET n={n + 1}, sums=({Sums}); COMMIT");
        counter.Write(0, ++n);
    }
}
