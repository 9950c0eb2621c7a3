namespace RecoveryVfs.Rows.Tests;

/// <summary>Tests that run while no others do: they look at the memory of the whole process.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "Alone";
}

/// <summary>Differences, one by one: what each kind of change gives, and what it costs.</summary>
[Collection(Alone.Name)]
public sealed class DifferenceTests : IDisposable
{
    readonly string path = Path.Combine(Path.GetTempPath(), $"rows-{Guid.NewGuid():N}.db");
    readonly Sqlite db;

    public DifferenceTests()
    {
        db = new Sqlite(path);
        db.Do("PRAGMA synchronous=OFF");
    }

    public void Dispose()
    {
        db.Dispose();
        File.Delete(path);
    }

    [Theory]
    [InlineData("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", 40_000)]
    [InlineData("CREATE TABLE t(id INT PRIMARY KEY, v TEXT) WITHOUT ROWID", 40_000)]
    [InlineData("CREATE TABLE t(id INT PRIMARY KEY, v TEXT)", 40_000)]
    public void A_few_changed_rows_of_many_cost_a_few_pages(string create, int rows)
    {
        db.Do(create);
        db.Do($"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO t "
            + "SELECT i, hex(randomblob(50)) FROM n");
        var before = Pages();
        db.Do($"UPDATE t SET v = 'new' WHERE id = {rows / 2}");
        db.Do($"DELETE FROM t WHERE id = {rows / 3}");
        db.Do($"INSERT INTO t VALUES({rows + 1}, 'more')");
        var after = Pages();

        var difference =
            new VersionDifference(new RowReader(before), new RowReader(after), new PageEquality(before, after));
        (before.Reads, after.Reads) = (0, 0);
        var changes = Assert.Single(difference.Tables).Changes().Select(c => c.Kind).ToList();

        Assert.Equal([ChangeKind.Delete, ChangeKind.Update, ChangeKind.Insert], changes);
        Assert.True(before.PageCount > 1000);
        Assert.True(before.Reads + after.Reads < before.PageCount / 10,
            $"{before.Reads} and {after.Reads} of {before.PageCount} pages were read.");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_row_that_changes_in_its_overflow_pages_alone_is_found(int autoVacuum)
    {
        db.Do($"PRAGMA auto_vacuum={autoVacuum}");
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)");
        for (var i = 0; i < 300; i++) db.Do("INSERT INTO t VALUES(?, ?)", i, new byte[i % 3 == 0 ? 20_000 : 100]);
        var before = Pages();
        var changed = new byte[20_000];
        changed[15_000] = 1;
        db.Do("UPDATE t SET v = ? WHERE id = 150", changed);
        var after = Pages();
        var differing = Enumerable.Range(1, (int)before.PageCount)
            .Where(p => !before.Page((uint)p).SequenceEqual(after.Page((uint)p))).ToList();
        Assert.Equal(2, differing.Count); // Page 1 and the overflow page: SQLite leaves the leaf as it is.

        var change = Assert.Single(Difference(before, after).Tables[0].Changes());

        Assert.Equal(ChangeKind.Update, change.Kind);
        Assert.Equal(150, change.After!.RowId);
        Assert.Equal(changed, change.After["v"].Bytes);
        Assert.Equal(0, change.Before!["v"].Bytes[15_000]);
    }

    [Fact]
    public void New_blobs_in_the_place_of_old_ones_cost_no_search()
    {
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)");
        for (var i = 0; i < 3000; i++) db.Do("INSERT INTO t VALUES(?, ?)", i, new byte[i % 100 == 0 ? 30_000 : 300]);
        var before = Pages();
        db.Do("UPDATE t SET v = randomblob(25000) WHERE id = 500");
        var after = Pages();

        (before.Reads, after.Reads) = (0, 0);
        var changes = Difference(before, after).Tables[0].Changes().ToList();

        Assert.Single(changes);
        Assert.True(before.Reads + after.Reads < 60, $"{before.Reads} and {after.Reads} pages were read.");
    }

    [Fact]
    public void An_update_of_a_key_is_a_delete_and_an_insert_that_say_so()
    {
        db.Do("CREATE TABLE t(k TEXT PRIMARY KEY, v)");
        db.Do("INSERT INTO t VALUES('a', 1), ('b', 2)");
        var before = Pages();
        db.Do("UPDATE t SET k = 'c' WHERE k = 'a'");
        var after = Pages();

        var changes = Difference(before, after).Tables[0].Changes().ToList();

        Assert.Equal([ChangeKind.Delete, ChangeKind.Insert], changes.Select(c => c.Kind));
        Assert.All(changes, c => Assert.True(c.IsKeyUpdate));
        Assert.Equal("a", changes[0].Before!["k"].Text);
        Assert.Equal("c", changes[1].After!["k"].Text);
    }

    [Fact]
    public void Keys_that_change_places_are_updates()
    {
        db.Do("CREATE TABLE t(k TEXT PRIMARY KEY, v)");
        db.Do("INSERT INTO t VALUES('a', 1), ('b', 2), ('x', 3)");
        var before = Pages();
        db.Do("UPDATE t SET k = CASE k WHEN 'a' THEN 'tmp' ELSE k END");
        db.Do("UPDATE t SET k = 'a' WHERE k = 'b'");
        db.Do("UPDATE t SET k = 'b' WHERE k = 'tmp'");
        db.Do("REPLACE INTO t VALUES('x', 3)"); // Another rowid, and the same row.
        var after = Pages();

        var changes = Difference(before, after).Tables[0].Changes()
            .Select(c => $"{c.After!["k"].Text}: {c.Before!["v"].Integer} -> {c.After["v"].Integer}").Order();

        Assert.Equal(["a: 1 -> 2", "b: 2 -> 1"], changes);
    }

    [Fact]
    public void What_VACUUM_rewrites_and_numbers_anew_is_no_change()
    {
        db.Do("CREATE TABLE keyless(v)");
        db.Do("CREATE TABLE keyed(k TEXT PRIMARY KEY, v)");
        db.Do("CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID");
        for (var i = 0; i < 500; i++)
        {
            db.Do("INSERT INTO keyless VALUES(?)", $"value {i}");
            db.Do("INSERT INTO keyed VALUES(?, ?)", $"key {i}", i);
            db.Do("INSERT INTO w VALUES(?, ?)", $"key {i}", i);
        }
        db.Do("DELETE FROM keyless WHERE rowid % 7 = 0");
        db.Do("DELETE FROM keyed WHERE v % 7 = 0");
        var before = Pages();
        db.Do("PRAGMA page_size=1024");
        db.Do("VACUUM");
        db.Do("UPDATE keyed SET v = -1 WHERE k = 'key 100'");
        var after = Pages();
        Assert.NotEqual(before.PageSize, after.PageSize);

        var difference = Difference(before, after);

        Assert.True(difference.IsRewritten);
        Assert.Empty(difference.SchemaChanges);
        var change = Assert.Single(difference.Tables.SelectMany(t => t.Changes()));
        Assert.Equal("key 100", change.After!["k"].Text);
    }

    [Fact]
    public void Schema_changes_are_told()
    {
        db.Do("CREATE TABLE dropped(a)");
        db.Do("CREATE TABLE altered(a INTEGER PRIMARY KEY, b)");
        db.Do("CREATE TABLE old_name(a)");
        db.Do("CREATE TABLE other_key(a INTEGER PRIMARY KEY, b)");
        db.Do("INSERT INTO altered VALUES(1, 2)");
        db.Do("INSERT INTO old_name VALUES(1)");
        db.Do("INSERT INTO other_key VALUES(1, 2)");
        db.Do("INSERT INTO dropped VALUES(7)");
        var before = Pages();
        db.Do("DROP TABLE dropped");
        db.Do("ALTER TABLE altered ADD COLUMN c DEFAULT 5");
        db.Do("ALTER TABLE old_name RENAME TO new_name");
        db.Do("INSERT INTO new_name VALUES(2)");
        db.Do("DROP TABLE other_key");
        db.Do("CREATE TABLE other_key(a, b PRIMARY KEY)");
        db.Do("CREATE VIEW v AS SELECT 1");
        var after = Pages();

        var difference = Difference(before, after);

        Assert.Equal(
            ["Dropped dropped ", "Altered altered altered", "Renamed old_name new_name", "Dropped other_key ",
                "Created  other_key", "Created  v"],
            difference.SchemaChanges.Where(c => (c.Before ?? c.After)!.Kind != SchemaKind.Index)
                .Select(c => $"{c.Kind} {c.Before?.Name} {c.After?.Name}"));
        Assert.Equal(
            ["Delete: dropped(a=7) -> ", "Delete: other_key(a=1, b=2) -> ", "Insert:  -> new_name(a=2)"],
            difference.Tables.SelectMany(t => t.Changes()).Select(c => c.ToString()));
    }

    [Fact]
    public void A_key_by_an_unknown_collation_is_compared_by_bytes_and_says_so()
    {
        db.Collation("BACKWARDS");
        db.Do("CREATE TABLE w(k TEXT COLLATE BACKWARDS PRIMARY KEY, v) WITHOUT ROWID");
        db.Do("CREATE TABLE r(k TEXT COLLATE BACKWARDS PRIMARY KEY, v)");
        for (var i = 0; i < 2000; i++)
        {
            db.Do("INSERT INTO w VALUES(?, ?)", $"key {i}", i);
            db.Do("INSERT INTO r VALUES(?, ?)", $"key {i}", i);
        }
        var before = Pages();
        foreach (var table in new[] { "w", "r" })
        {
            db.Do($"UPDATE {table} SET v = 'new' WHERE k = 'key 77'");
            db.Do($"DELETE FROM {table} WHERE k = 'key 1000'");
            db.Do($"INSERT INTO {table} VALUES('another', 1)");
        }
        var after = Pages();

        foreach (var table in Difference(before, after).Tables)
        {
            Assert.Contains("BACKWARDS", table.KeyNote, StringComparison.Ordinal);
            Assert.Equal(["another", "key 1000", "key 77"],
                table.Changes().Select(c => (c.After ?? c.Before)!["k"].Text).Order());
        }
    }

    [Fact]
    public void Changes_are_read_as_they_are_asked_for()
    {
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        var before = Pages();
        db.Do("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO t SELECT "
            + "i, 'some value' FROM n");
        var after = Pages();
        var difference = Difference(before, after);
        after.Reads = 0;

        Assert.Equal(5, difference.Tables[0].Changes().Take(5).Count());

        Assert.InRange(after.Reads, 1, 8);
        var live = GC.GetTotalMemory(forceFullCollection: true);
        var count = 0;
        foreach (var change in difference.Tables[0].Changes())
            if (++count == 90_000) live = GC.GetTotalMemory(forceFullCollection: true) - live;
        Assert.Equal(100_000, count);
        Assert.True(live < 1_000_000, $"{live} bytes are held after 90000 changes.");
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Big)]
    public void A_commit_of_ten_million_rows_takes_little_memory()
    {
        const int Rows = 10_000_000;
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        db.Do($"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {Rows}) INSERT INTO t "
            + "SELECT i, i FROM n");
        File.Copy(path, path + ".before");
        db.Do("UPDATE t SET v = v + 1");
        using var before = new FilePages(path + ".before");
        using var after = new FilePages(path);
        long count = 0, most = 0, start = GC.GetTotalMemory(forceFullCollection: true);
        foreach (var change in new VersionDifference(new RowReader(before), new RowReader(after)).Tables[0].Changes())
        {
            if (++count % 1_000_000 == 0) most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - start);
            if (change.Kind != ChangeKind.Update || change.After!["v"].Integer != count + 1)
                Assert.Fail($"Row {count}: {change}");
        }
        File.Delete(path + ".before");
        Assert.Equal(Rows, count);
        Assert.True(most < 1_000_000, $"{most} bytes were held.");
    }

    MemoryPages Pages() => new(File.ReadAllBytes(path));

    static VersionDifference Difference(MemoryPages before, MemoryPages after) =>
        new(new RowReader(before), new RowReader(after),
            before.PageSize == after.PageSize ? new PageEquality(before, after) : null);
}
