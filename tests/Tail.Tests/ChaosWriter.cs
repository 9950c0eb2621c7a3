using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// The writing process of <see cref="ChaosTests"/>: commits with durability=remote until its input ends, and says which
/// commits returned. Each row has the number after the last one and the writer's name, so that what was acknowledged is
/// found again, or not.
/// </summary>
static class ChaosWriter
{
    public static int Run(string directory, string url, string who)
    {
        var stop = Task.Run(Console.In.ReadToEnd);
        try
        {
            Directory.CreateDirectory(directory);
            var options =
                "vfs=recovery&linger=0&durability=remote&sync-interval=20&hints-bytes=300000&retention=0"
                    + $"&remote={Uri.EscapeDataString(url)}";
            using var pair = Site.OpenUri($"file:{directory}/a.db?{options}");
            using var wal = Site.OpenUri($"file:{directory}/w.db?{options}");
            pair.Do("PRAGMA busy_timeout=60000; CREATE TABLE IF NOT EXISTS t(seq INTEGER PRIMARY KEY, who TEXT, fill "
                + "BLOB)");
            pair.Do($"ATTACH 'file:{directory}/b.db?{options}' AS b; CREATE TABLE IF NOT EXISTS b.t(seq INTEGER "
                + "PRIMARY KEY, who TEXT, fill BLOB)");
            wal.Do("PRAGMA busy_timeout=60000; PRAGMA journal_mode=wal; CREATE TABLE IF NOT EXISTS t(seq INTEGER "
                + "PRIMARY KEY, who TEXT, fill BLOB)");
            Console.WriteLine("ready");
            var random = new Random();
            while (!stop.IsCompleted) Step(pair, wal, who, random);
            return 0;
        }
        catch (Exception e)
        {
            Console.WriteLine(
                $"lost {e.Message.ReplaceLineEndings(" ")} [{Recovery.LastError?.ReplaceLineEndings(" ")}]");
            return 3;
        }
    }

    static void Step(SqliteConnection pair, SqliteConnection wal, string who, Random random)
    {
        // Both databases or neither.
        pair.Do($"BEGIN IMMEDIATE; {Insert("main.t", who, random)}; {Insert("b.t", who, random)}; COMMIT");
        Console.WriteLine($"a {pair.Do("SELECT max(seq) FROM main.t")} {who}");
        if (random.Next(10) == 0) wal.Do("BEGIN; UPDATE t SET fill=randomblob(5000); ROLLBACK");
        wal.Do(Insert("t", who, random));
        Console.WriteLine($"w {wal.Do("SELECT max(seq) FROM t")} {who}");
        switch (random.Next(60))
        {
            case 0: wal.Do($"PRAGMA wal_checkpoint({(random.Next(2) == 0 ? "TRUNCATE" : "PASSIVE")})"); break;
            case 1: pair.Do($"PRAGMA main.page_size={1024 << random.Next(4)}; VACUUM main"); break;
            case 2:
                pair.Do($"UPDATE main.t SET fill=randomblob({random.Next(2000)}) WHERE seq % 3 = {random.Next(3)}");
                break;
            case 3: pair.Do("UPDATE b.t SET fill=NULL WHERE seq < (SELECT max(seq) FROM b.t) - 200"); break;
            case 4: wal.Do("UPDATE t SET fill=NULL WHERE seq < (SELECT max(seq) FROM t) - 200"); break;
        }
    }

    static string Insert(string table, string who, Random random) =>
        $"INSERT INTO {table} SELECT coalesce(max(seq), 0) + 1, '{who}', "
            + $"randomblob({random.Next(random.Next(20) == 0 ? 60000 : 500)}) FROM {table}";
}
