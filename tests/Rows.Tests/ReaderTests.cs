using SQLitePCL;

namespace RecoveryVfs.Rows.Tests;

/// <summary>What a reader sees, one by one, and what reading costs.</summary>
public sealed class ReaderTests : IDisposable
{
    readonly string path = Path.Combine(Path.GetTempPath(), $"rows-{Guid.NewGuid():N}.db");
    readonly Sqlite db;

    public ReaderTests()
    {
        db = new Sqlite(path);
        db.Do("PRAGMA synchronous=OFF");
    }

    public void Dispose()
    {
        db.Dispose();
        File.Delete(path);
    }

    RowReader Reader() => new(new MemoryPages(File.ReadAllBytes(path)));

    [Fact]
    public void A_database_in_which_nothing_was_written_has_nothing()
        => Assert.Empty(new RowReader(new MemoryPages([])).Schema.Entries);

    [Fact]
    public void Shadow_tables_and_those_of_SQLite_are_tables_and_virtual_ones_are_not()
    {
        db.Do("CREATE VIRTUAL TABLE texts USING fts5(title, body)");
        db.Do("CREATE VIRTUAL TABLE places USING rtree(id, x0, x1)");
        db.Do("CREATE TABLE numbered(id INTEGER PRIMARY KEY AUTOINCREMENT, v)");
        db.Do("CREATE VIEW seen AS SELECT * FROM numbered");
        for (var i = 0; i < 200; i++)
        {
            db.Do("INSERT INTO texts VALUES(?, ?)", $"title {i}", string.Join(' ', Enumerable.Range(i, 50)));
            db.Do("INSERT INTO places VALUES(?, ?, ?)", i, i, i + 1);
            db.Do("INSERT INTO numbered(v) VALUES(?)", i);
        }
        db.Do("ANALYZE");
        var reader = Reader();

        Assert.Equal(["places", "texts"], reader.Schema.Entries.Where(e => e.Kind == SchemaKind.VirtualTable)
            .Select(e => e.Name).Order());
        Assert.Equal("seen", Assert.Single(reader.Schema.Entries, e => e.Kind == SchemaKind.View).Name);
        Assert.False(reader.Schema.TryGetTable("texts", out _));
        var names = reader.Schema.Tables.Select(t => t.Name).ToList();
        Assert.Superset(
            new HashSet<string> { "texts_content", "texts_idx", "places_node", "sqlite_sequence", "sqlite_stat1",
            "numbered" }, names.ToHashSet());
        foreach (var name in names)
            Assert.Equal(Oracle.Selected(db, name).Order(StringComparer.Ordinal),
                Oracle.Read(reader, name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void In_an_old_format_DESC_of_a_key_means_nothing()
    {
        using var old = new Sqlite(path + ".old");
        old.LegacyFormat();
        old.Do("CREATE TABLE t(a, b, PRIMARY KEY(a DESC)) WITHOUT ROWID");
        for (var i = 0; i < 500; i++) old.Do("INSERT INTO t VALUES(?, ?)", i, i);
        var before = new MemoryPages(File.ReadAllBytes(path + ".old"));
        old.Do("DELETE FROM t WHERE a = 300");
        var after = new MemoryPages(File.ReadAllBytes(path + ".old"));
        File.Delete(path + ".old");

        Assert.Equal(1, after.Page(1)[47]); // The format really is an old one.
        var cursor = new RowReader(before).Read("t");
        Assert.True(cursor.Read());
        Assert.Equal(0, cursor[0].Integer);
        var change = Assert.Single(new VersionDifference(new RowReader(before), new RowReader(after)).Tables[0]
            .Changes());
        Assert.Equal(300, change.Before!["a"].Integer);
    }

    [Fact]
    public void An_added_column_with_a_cast_for_its_default_reads_as_SQLite_reads_it()
    {
        db.Do("CREATE TABLE t(a)");
        db.Do("INSERT INTO t VALUES(1)");
        string[] defaults =
            ["(CAST('5' AS INTEGER))", "(CAST(x'0102' AS BLOB))", "(CAST('ab' AS TEXT))", "(-(5))", "(((- - 5.5)))",
            "('it''s')", "(NULL)", "1_000", "-9223372036854775808"];
        for (var i = 0; i < defaults.Length; i++) db.Do($"ALTER TABLE t ADD COLUMN c{i} DEFAULT {defaults[i]}");
        Assert.Equal(Oracle.Selected(db, "t"), Oracle.Read(Reader(), "t"));
    }

    [Fact]
    public void Reading_allocates_nothing_for_a_row()
    {
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, price REAL, photo BLOB)");
        db.Do("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) INSERT INTO t SELECT "
            + "i, 'name ' || i, i / 2.0, randomblob(i % 300) FROM n");
        db.Do("INSERT INTO t VALUES(1000000, 'big', 1, randomblob(200000))");
        var reader = Reader();
        long sum = 0;
        for (var round = 0; round < 2; round++)
        {
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var cursor = reader.Read("t");
            while (cursor.Read())
                sum += cursor[0].Integer + cursor[1].Bytes.Length + (long)cursor[2].Real + cursor[3].Bytes.Length;
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            // A page a level, and the one row with overflow pages, whose buffer doubled as its pages came.
            Assert.InRange(allocated, 0, 700_000);
        }
        Assert.NotEqual(0, sum);
    }

    [Fact]
    public void A_row_of_more_bytes_than_allowed_is_an_error_that_says_so()
    {
        db.Do("CREATE TABLE t(v)");
        db.Do("INSERT INTO t VALUES(zeroblob(100000))");
        var reader = new RowReader(new MemoryPages(File.ReadAllBytes(path)),
            new RowReaderOptions { MostRowBytes = 50_000 });
        var cursor = reader.Read("t");
        Assert.True(cursor.Read());
        var error = Assert.Throws<DatabaseDamagedException>(() => cursor[0].Kind);
        Assert.Contains("MostRowBytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tree_that_goes_in_a_circle_is_an_error_that_names_the_page()
    {
        db.Do("PRAGMA page_size=512");
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        db.Do("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT "
            + "i, 'value' FROM n");
        var file = File.ReadAllBytes(path);
        var root = 512; // Page 2.
        Assert.Equal(5, file[root]);
        for (var i = 0; i < file[root + 4]; i++)
        {
            var cell = (file[root + 12 + 2 * i] << 8) | file[root + 13 + 2 * i];
            file.AsSpan(root + cell, 4).Clear();
            file[root + cell + 3] = 2; // Each child is the root itself.
        }
        var cursor = new RowReader(new MemoryPages(file)).Read("t");
        var error = Assert.Throws<DatabaseDamagedException>(() => cursor.Read());
        Assert.Equal(2u, error.Page);
    }
}
