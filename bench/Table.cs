namespace RecoveryVfs.Bench;

/// <summary>The table that most cases use: rows of about a kilobyte of text, by number from 1.</summary>
internal static class Table
{
    public const int RowBytes = 1000;

    /// <summary>How many rows make a database of so many megabytes (four to a page, less the page's own).</summary>
    public static int RowsFor(int megabytes) => (int)((long)megabytes * (1 << 20) / 4096 * 4);

    /// <summary>Fills a new database in transactions of moderate size, and leaves it in files.</summary>
    public static void Build(Side side, int rows, string? pageCache = null)
    {
        var text = new Text(7);
        using (var connection = side.Open("OFF", pageCache: pageCache))
        {
            connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
            using var insert = connection.Prepare("INSERT INTO t VALUES(?,?)");
            for (var row = 1; row <= rows;)
            {
                connection.Do("BEGIN");
                for (var i = 0; i < 20_000 && row <= rows; i++, row++)
                    insert.Bind(1, row).Bind(2, text.Take(RowBytes)).First();
                connection.Do("COMMIT");
            }
            connection.Do(side.IsOurs ? "PRAGMA recovery_checkpoint" : "PRAGMA wal_checkpoint(TRUNCATE)");
        }
        side.Settle();
    }

    /// <summary>
    /// Brings a stock database's file into the system's cache, should building it have pushed it out.
    /// </summary>
    public static void Warm(Side side)
    {
        if (side.IsOurs) return;
        using var file = File.OpenRead(side.PathOf("a.db"));
        file.CopyTo(Stream.Null, 1 << 20);
    }
}
