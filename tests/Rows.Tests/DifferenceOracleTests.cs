namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// The differences that we find between two versions are those that SQLite's rows have, under random histories of
/// statements.
/// </summary>
public class DifferenceOracleTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Differences_are_those_of_the_rows_that_SQLite_selects() => Seeds.Run(500, random =>
    {
        using var database = new RandomDatabase(random);
        for (var i = random.Next(1, 4); i > 0; i--) database.Commit(random.Next(1, 25));
        var (before, rowsBefore) = (database.File, Model.Of(database.Db));
        for (var i = 0; i < 4; i++)
        {
            database.Commit(random.Next(1, random.Next(2) == 0 ? 3 : 20));
            var (after, rowsAfter) = (database.File, Model.Of(database.Db));
            Compare(random, before, rowsBefore, after, rowsAfter);
            if (random.Next(3) == 0) continue; // The next difference is one of several commits.
            (before, rowsBefore) = (after, rowsAfter);
        }
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Values_that_change_in_overflow_pages_are_found() => Seeds.Run(150, random =>
    {
        using var database = new RandomDatabase(random, 512 << random.Next(4));
        var db = database.Db;
        db.Do("CREATE TABLE blobs(id INTEGER PRIMARY KEY, v BLOB)");
        db.Do("CREATE TABLE texts(k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID");
        if (random.Next(2) == 0) db.Do("CREATE INDEX by_value ON blobs(v)");
        for (var i = 0; i < random.Next(20, 120); i++)
        {
            db.Do("INSERT INTO blobs VALUES(?, ?)", i,
                Bytes(random.Next(3) == 0 ? random.Next(30_000) : random.Next(200)));
            db.Do("INSERT INTO texts VALUES(?, hex(zeroblob(?)))", $"{i}",
                random.Next(3) == 0 ? random.Next(9000) : random.Next(90));
        }
        byte[] Bytes(int count)
        {
            var bytes = new byte[count];
            random.NextBytes(bytes);
            return bytes;
        }

        var (before, rowsBefore) = (database.File, Model.Of(db));
        for (var i = 0; i < 5; i++)
        {
            for (var n = random.Next(1, 4); n > 0; n--)
            {
                var at = random.Next(1, 9000);
                var rest = random.Next(7);
                if (random.Next(2) == 0)
                {
                    foreach (var row in db.Query("SELECT id, v FROM blobs WHERE id % 7 = ? AND length(v) > ?", rest,
                        at))
                    {
                        ((byte[])row[1]!)[at] ^= 0x55;
                        db.Do("UPDATE blobs SET v = ? WHERE id = ?", row[1], row[0]);
                    }
                }
                else db.Do("UPDATE texts SET v = substr(v, 1, ?1) || 'y' || substr(v, ?1 + 2) WHERE k % 7 = ?2 AND "
                    + "length(v) > ?1 + 1", at, rest);
            }
            if (random.Next(3) == 0)
                db.Do("UPDATE blobs SET v = ? WHERE id = ?", Bytes(random.Next(5000)), random.Next(20));
            if (random.Next(4) == 0) db.Do("DELETE FROM texts WHERE k = ?", $"{random.Next(20)}");
            var (after, rowsAfter) = (database.File, Model.Of(db));
            Compare(random, before, rowsBefore, after, rowsAfter);
            (before, rowsBefore) = (after, rowsAfter);
        }
    });

    /// <summary>
    /// Keys by a collation that only the application has: told apart by their bytes, which is right of every row.
    /// </summary>
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Rows_whose_keys_have_a_collation_that_is_not_known_are_compared_rightly() => Seeds.Run(60, random =>
    {
        using var database = new RandomDatabase(random, 512 << random.Next(4));
        var db = database.Db;
        db.Collation("BACKWARDS");
        db.Do("CREATE TABLE back(k TEXT COLLATE BACKWARDS, n INT, v, PRIMARY KEY(k DESC, n)) WITHOUT ROWID");
        db.Do("CREATE TABLE back_rows(k TEXT COLLATE BACKWARDS PRIMARY KEY NOT NULL, v)");
        db.Do("CREATE TABLE plain(k INTEGER PRIMARY KEY, v)");
        var (before, rowsBefore) = (database.File, Model.Of(db));
        for (var i = 0; i < 5; i++)
        {
            db.Do("BEGIN");
            for (var n = random.Next(1, i == 0 ? 200 : 6); n > 0; n--)
            {
                var (key, other) = ($"key {random.Next(80)}", $"key {random.Next(80)}");
                var bytes = random.Next(random.Next(5) == 0 ? 3000 : 60);
                switch (random.Next(4))
                {
                    case 0: db.Do("REPLACE INTO back VALUES(?, ?, zeroblob(?))", key, random.Next(3), bytes); break;
                    case 1: db.Do("DELETE FROM back WHERE k = ?", key); break;
                    case 2: db.Do("UPDATE OR REPLACE back SET k = ? WHERE k = ?", other, key); break;
                    default: db.Do("REPLACE INTO back_rows VALUES(?, zeroblob(?))", key, bytes); break;
                }
                if (random.Next(3) == 0) db.Do("REPLACE INTO plain VALUES(?, ?)", random.Next(50), key);
            }
            db.Do("COMMIT");
            var (after, rowsAfter) = (database.File, Model.Of(db));
            Compare(random, before, rowsBefore, after, rowsAfter);
            (before, rowsBefore) = (after, rowsAfter);
        }
    });

    static void Compare(Random random, byte[] before, Model rowsBefore, byte[] after, Model rowsAfter)
    {
        var (pagesBefore, pagesAfter) = (new MemoryPages(before), new MemoryPages(after));
        IPageComparison? comparison = random.Next(4) == 0
            ? null
            : new PageEquality(pagesBefore, pagesAfter, random.Next(3) == 0 ? random : null);
        var difference = new VersionDifference(new RowReader(pagesBefore), new RowReader(pagesAfter), comparison);
        Assert.Equal(rowsBefore.Tables.Keys.Order(),
            difference.Tables.Where(t => t.Before is not null).Select(t => t.Before!.Name).Order());
        Assert.Equal(rowsAfter.Tables.Keys.Order(),
            difference.Tables.Where(t => t.After is not null).Select(t => t.After!.Name).Order());
        foreach (var table in difference.Tables)
        {
            try
            {
                DifferenceCheck.Check(table, table.Changes().ToList(), difference.IsRewritten, rowsBefore, rowsAfter);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException(
                    $"In {table.Before?.Sql} -> {table.After?.Sql}, {difference.After.Schema.Encoding}, rewritten "
                        + $"{difference.IsRewritten}, {table.KeyNote}:\n" +
                    $"{string.Join("\n", rowsBefore.Tables.GetValueOrDefault(table.Before?.Name ?? "")?.Rows ?? [])}\n"
                        + "->\n" +
                    $"{string.Join("\n", rowsAfter.Tables.GetValueOrDefault(table.After?.Name ?? "")?.Rows ?? [])}\n"
                        + $"by\n{string.Join("\n", table.Changes())}", e);
            }
        }
    }
}
