namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// A schema as programs have it, under random statements: cascades, upserts, replaces, savepoints, another database
/// attached.
/// </summary>
internal sealed class OrdersDatabase : IDisposable
{
    static readonly string[] tables =
    [
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL, photo BLOB)",
        "CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, customer INT REFERENCES customers ON DELETE "
            + "CASCADE ON UPDATE CASCADE, total REAL, note TEXT)",
        "CREATE TABLE lines(o INT NOT NULL REFERENCES orders ON DELETE CASCADE, n INT NOT NULL, what TEXT, PRIMARY "
            + "KEY(o, n DESC)) WITHOUT ROWID",
        "CREATE TABLE settings(name TEXT PRIMARY KEY NOT NULL, value)",
        "CREATE TABLE tags(a TEXT NOT NULL, b TEXT NOT NULL, weight, PRIMARY KEY(b, a))",
    ];

    readonly Random random;
    readonly string path;
    readonly bool isOwn;

    /// <param name="random">What decides.</param>
    /// <param name="name">Where it is, as SQLite is told; a file of its own by default.</param>
    /// <param name="journal">Its journal mode.</param>
    public OrdersDatabase(Random random, string? name = null, string journal = "MEMORY")
    {
        this.random = random;
        isOwn = name is null;
        path = name ?? Path.Combine(Path.GetTempPath(), $"orders-{Guid.NewGuid():N}.db");
        Db = new Sqlite(path);
        Db.Do($"PRAGMA page_size={512 << random.Next(4)}");
        Db.Do($"PRAGMA auto_vacuum={random.Next(3)}");
        Db.Do($"PRAGMA journal_mode={journal}");
        Db.Do("PRAGMA synchronous=OFF");
        Db.Do("PRAGMA foreign_keys=1");
        foreach (var table in tables) Db.Do(table);
        Db.Do("CREATE INDEX by_note ON orders(note, total)");
        Db.Do("CREATE TRIGGER counted AFTER INSERT ON orders BEGIN INSERT INTO settings VALUES('orders', 1) ON "
            + "CONFLICT(name) DO UPDATE SET value = value + 1; END");
        Db.Do("ATTACH ':memory:' AS side");
        Db.Do("CREATE TABLE side.other(x)");
    }

    public Sqlite Db { get; }
    public string FilePath => path;
    public byte[] File => System.IO.File.ReadAllBytes(path);

    public void Dispose()
    {
        Db.Dispose();
        if (isOwn) System.IO.File.Delete(path);
    }

    public void Change(int statements)
    {
        Db.Try("BEGIN");
        for (var i = 0; i < statements; i++)
        {
            var back = random.Next(8) == 0;
            if (back) Db.Try("SAVEPOINT s");
            Statement();
            if (back) Db.Try("ROLLBACK TO s");
        }
        Db.Do("COMMIT");
    }

    long Id() => random.Next(1, 60);

    string Text() => new((char)('a' + random.Next(5)), random.Next(random.Next(10) == 0 ? 6000 : 40));

    void Statement()
    {
        switch (random.Next(15))
        {
            case 0:
                Db.Try("INSERT OR IGNORE INTO customers VALUES(?, ?, zeroblob(?))", Id(), Text(),
                random.Next(3000)); break;
            case 1: Db.Try("REPLACE INTO customers VALUES(?, ?, NULL)", Id(), Text()); break;
            case 2: Db.Try("UPDATE OR IGNORE customers SET id = ? WHERE id = ?", Id(), Id()); break;
            case 3: Db.Try("DELETE FROM customers WHERE id = ?", Id()); break;
            case 4 or 5 or 6:
                Db.Try(
                "INSERT INTO orders(customer, total, note) SELECT id, ?, ? FROM customers ORDER BY id % 7 LIMIT 1",
                random.Next(100) / 4.0, Text()); break;
            case 7:
                Db.Try("INSERT OR REPLACE INTO lines SELECT id, ?, ? FROM orders WHERE id % 3 = ?", Id(), Text(),
                random.Next(3)); break;
            case 8:
                Db.Try("UPDATE orders SET total = total + 1, note = ? WHERE id % 11 = ?", Text(), random.Next(11));
                break;
            case 9: Db.Try("UPDATE OR REPLACE lines SET n = n + 1 WHERE o = ?", Id()); break;
            case 10:
                Db.Try("INSERT INTO settings VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
                $"s{random.Next(30)}", Id()); break;
            case 11:
                Db.Try("REPLACE INTO tags VALUES(?, ?, ?)", $"a{random.Next(6)}", $"b{random.Next(6)}", Id());
                break;
            case 12:
                Db.Try("UPDATE OR REPLACE tags SET a = ? WHERE b = ?", $"a{random.Next(6)}", $"b{random.Next(6)}");
                break;
            case 13: Db.Try("UPDATE settings SET name = name || 'x' WHERE value = ?", Id()); break;
            default: Db.Try("INSERT INTO side.other SELECT note FROM orders"); break;
        }
    }
}
