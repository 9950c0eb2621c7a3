using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// The reading process of <see cref="ChaosTests"/>: follows and reads until its input ends. Each transaction must see
/// whole commits, each later one at least as many; anything else ends it with what was wrong.
/// </summary>
static class ChaosReader
{
    public static int Run(string directory, string url)
    {
        var stop = Task.Run(Console.In.ReadToEnd);
        try
        {
            Directory.CreateDirectory(directory);
            var options = $"vfs=recovery&mode=ro&linger=0&follow-interval=100&follow={Uri.EscapeDataString(url)}";
            using var a = Site.OpenUri($"file:{directory}/a.db?{options}");
            using var b = Site.OpenUri($"file:{directory}/b.db?{options}");
            using var wal = Site.OpenUri($"file:{directory}/w.db?{options}");
            Console.WriteLine("ready");
            var seen = new Dictionary<SqliteConnection, long>();
            for (var round = 0; !stop.IsCompleted; round++)
                foreach (var database in (SqliteConnection[])[a, b, wal])
                {
                    if (!Read(database, "SELECT coalesce(max(seq), 0), count(*), count(DISTINCT seq) FROM t",
                        out var row))
                        continue;
                    var numbers = row.Split(' ').Select(long.Parse).ToArray();
                    if (numbers[0] != numbers[1] || numbers[1] != numbers[2])
                        return Say($"wrong: rows are missing: {row}");
                    if (numbers[0] < seen.GetValueOrDefault(database))
                        return Say($"wrong: went back from {seen[database]} to {numbers[0]}");
                    seen[database] = numbers[0];
                    if (round % 20 == 0 && Read(database, "PRAGMA integrity_check", out var verdict) && verdict != "ok")
                        return Say($"wrong: {verdict}");
                    if (round % 10 == 0) Console.WriteLine($"seen {numbers[0]}");
                }
            return 0;
        }
        catch (Exception e)
        {
            return Say($"lost {e.Message.ReplaceLineEndings(" ")} [{Recovery.LastError?.ReplaceLineEndings(" ")}]");
        }
    }

    /// <summary>False while the follower starts over (SQLITE_BUSY).</summary>
    static bool Read(SqliteConnection connection, string sql, out string row)
    {
        row = connection.Try(sql);
        if (row == "!5") Thread.Yield();
        else if (row.StartsWith('!')) throw new InvalidOperationException($"{sql}: {row}");
        return row != "!5";
    }

    static int Say(string what)
    {
        Console.WriteLine(what);
        return 3;
    }
}
