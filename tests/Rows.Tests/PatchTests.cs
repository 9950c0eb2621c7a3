using RecoveryVfs.Rows.Sql;

namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// A patch applied to the earlier version gives the later one, and the patch that takes it back gives the earlier one:
/// every row, by SELECT, whether foreign keys are on or off.
/// </summary>
public class PatchTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_patch_leads_from_one_version_to_the_other_and_back() => Seeds.Run(120, random =>
    {
        using var orders = new OrdersDatabase(random);
        orders.Change(random.Next(1, 60));
        var before = orders.File;
        orders.Change(random.Next(1, 40));
        if (random.Next(3) == 0) orders.Db.Do("CREATE TABLE more(a, b UNIQUE, c AS (a + b))");
        if (random.Next(3) == 0) orders.Db.Try("INSERT INTO more VALUES(1, 'it''s'), (1e999, x'00'), (-0.0, NULL)");
        if (random.Next(4) == 0) orders.Db.Do("DROP TABLE tags");
        if (random.Next(4) == 0) orders.Db.Do("DROP INDEX by_note");
        var after = orders.File;

        Apply(random, before, after);
        Apply(random, after, before);
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_patch_of_odd_tables_leads_from_one_version_to_the_other_and_back() => Seeds.Run(150, random =>
    {
        using var database = new RandomDatabase(random);
        for (var i = random.Next(1, 4); i > 0; i--) database.Commit(random.Next(1, 25));
        var before = database.File;
        for (var i = random.Next(1, 20); i > 0 && database.AnyTable() is { } table; i--)
        {
            if (random.Next(3) != 0) database.Insert(table, "INSERT OR REPLACE");
            else if (random.Next(2) == 0) database.Update(table);
            else database.Delete(table);
        }
        var after = database.File;

        Apply(random, before, after, foreignKeys: false); // These tables refer to what cannot be referred to.
        Apply(random, after, before, foreignKeys: false);
    });

    [Fact]
    public void Only_the_rows_that_are_asked_for_are_patched()
    {
        using var orders = new OrdersDatabase(new Random(1));
        orders.Db.Do("INSERT INTO settings VALUES('a', 1), ('b', 1)");
        var before = orders.File;
        orders.Db.Do("DELETE FROM settings");
        var patch = Patch(orders.File, before, c => c.After?["name"].Text == "b");
        Assert.Contains("INSERT INTO \"settings\"(\"name\",\"value\") VALUES('b',1);", patch, StringComparison.Ordinal);
        Assert.DoesNotContain("'a'", patch, StringComparison.Ordinal);
    }

    /// <summary>Behind the statements of a schema SQLite reads nothing; a shell that gets a patch would.</summary>
    [Theory]
    [InlineData("CREATE TABLE t(a)", "CREATE TABLE t(a);\n.shell id\n")]
    [InlineData("CREATE TABLE t(a)", "CREATE TABLE t(a) -- ;\n ; ATTACH 'x' AS y")]
    [InlineData("CREATE TABLE t(a DEFAULT ';', \"b;\")", "CREATE TABLE t(a DEFAULT ';', \"b;\")/*;*/")]
    [InlineData("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; DELETE FROM t; END",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; DELETE FROM t; END; .shell id")]
    [InlineData("CREATE VIEW v AS SELECT 'it''s; \n.x'", "CREATE VIEW v AS SELECT 'it''s; \n.x';;\n.shell")]
    public void What_stands_behind_a_statement_of_the_schema_is_not_passed_on(string statement, string sql)
        => Assert.Equal(statement, SchemaStatement.Of(sql));

    [Theory]
    [InlineData("CREATE TABLE t(a DEFAULT 'x")]
    [InlineData("CREATE TABLE \"t")]
    [InlineData("CREATE TABLE [t")]
    [InlineData("CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t;")]
    [InlineData("; .shell id")]
    public void A_statement_without_an_end_is_damage(string sql)
        => Assert.Throws<DatabaseDamagedException>(() => SchemaStatement.Of(sql));

    [Fact]
    public void A_made_up_schema_reaches_no_shell()
    {
        using var orders = new OrdersDatabase(new Random(1));
        var before = orders.File;
        orders.Db.Do("CREATE TABLE made(a)");
        orders.Db.Do("PRAGMA writable_schema=ON");
        orders.Db.Do("UPDATE sqlite_master SET sql = sql || char(59, 10) || '.shell id' || char(10) WHERE name='made'");
        orders.Db.Do("PRAGMA writable_schema=RESET");
        Assert.Equal(0L, orders.Db.Query("SELECT count(*) FROM made")[0][0]);
        var patch = Patch(before, orders.File);
        Assert.Contains("CREATE TABLE made(a);", patch, StringComparison.Ordinal);
        Assert.DoesNotContain("shell", patch, StringComparison.Ordinal);
    }

    static void Apply(Random random, byte[] from, byte[] to, bool? foreignKeys = null)
    {
        var patch = Patch(from, to);
        var path = Path.Combine(Path.GetTempPath(), $"patch-{Guid.NewGuid():N}.db");
        File.WriteAllBytes(path, from);
        using (var db = new Sqlite(path))
        {
            db.Do("PRAGMA synchronous=OFF");
            db.Do("PRAGMA journal_mode=MEMORY");
            db.Do($"PRAGMA foreign_keys={((foreignKeys ?? random.Next(2) == 0) ? 1 : 0)}");
            try
            {
                db.Script(patch);
                Assert.Equal(Said(db, to), Said(db, null));
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"The patch was:\n{patch}", e);
            }
        }
        File.Delete(path);
    }

    static string Patch(byte[] from, byte[] to, Predicate<RowChange>? only = null)
    {
        var (a, b) = (new MemoryPages(from), new MemoryPages(to));
        var output = new StringWriter();
        SqlPatch.Write(new VersionDifference(new RowReader(a), new RowReader(b), new PageEquality(a, b)), output, only);
        return output.ToString();
    }

    /// <summary>All rows of all tables, and the schema; of a database that is open, or of another file.</summary>
    static List<string> Said(Sqlite open, byte[]? file)
    {
        if (file is null) return Said(open);
        var path = Path.Combine(Path.GetTempPath(), $"patched-{Guid.NewGuid():N}.db");
        File.WriteAllBytes(path, file);
        using var db = new Sqlite(path);
        var said = Said(db);
        File.Delete(path);
        return said;
    }

    static List<string> Said(Sqlite db)
    {
        var said = db.Query(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")
            .ConvertAll(r => string.Join("|", r));
        foreach (var (name, table) in Model.Of(db).Tables)
            if (!name.StartsWith("sqlite_stat", StringComparison.Ordinal))
                said.AddRange(table.Rows.Select(r => $"{name}: {string.Join("|", r.Values)}"));
        said.Sort(StringComparer.Ordinal);
        return said;
    }
}
