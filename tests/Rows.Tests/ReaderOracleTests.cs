namespace RecoveryVfs.Rows.Tests;

/// <summary>Every row that we read is the row that SQLite gives, under random histories of statements.</summary>
public class ReaderOracleTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Every_table_reads_as_SQLite_selects_it() => Seeds.Run(700, random =>
    {
        using var database = new RandomDatabase(random);
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            database.Commit(random.Next(1, 25));
            Compare(database);
        }
    });

    static void Compare(RandomDatabase database)
    {
        var reader = new RowReader(new MemoryPages(database.File));
        Assert.Equal(database.Tables, reader.Schema.Tables.Select(t => t.Name));
        foreach (var table in reader.Schema.Tables)
        {
            var columns = database.Db.Query($"PRAGMA table_xinfo({Sqlite.Quote(table.Name)})");
            Assert.Equal(columns.Select(c => (string)c[1]!), table.Columns.Select(c => c.Name));
            Assert.Equal(columns.Where(c => (long)c[6]! == 2).Select(c => (string)c[1]!),
                table.Columns.Where(c => !c.IsStored).Select(c => c.Name));
            Assert.Equal(Oracle.HasRowId(database.Db, table.Name), !table.IsWithoutRowId);
            var expected = Oracle.Selected(database.Db, table.Name);
            // SQLite may scan another index than the table, and then in its order.
            Assert.Equal(expected.Order(StringComparer.Ordinal),
                Oracle.Read(reader, table.Name).Order(StringComparer.Ordinal));
        }
    }
}
