namespace RecoveryVfs.Rows.Tests;

/// <summary>The differences that we find between two versions are those that SQLite's rows have, under random histories of statements.</summary>
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

    static void Compare(Random random, byte[] before, Model rowsBefore, byte[] after, Model rowsAfter)
    {
        var (pagesBefore, pagesAfter) = (new MemoryPages(before), new MemoryPages(after));
        IPageComparison? comparison = random.Next(4) == 0 ? null : new PageEquality(pagesBefore, pagesAfter, random.Next(3) == 0 ? random : null);
        var difference = new VersionDifference(new RowReader(pagesBefore), new RowReader(pagesAfter), comparison);
        Assert.Equal(rowsBefore.Tables.Keys.Order(), difference.Tables.Where(t => t.Before is not null).Select(t => t.Before!.Name).Order());
        Assert.Equal(rowsAfter.Tables.Keys.Order(), difference.Tables.Where(t => t.After is not null).Select(t => t.After!.Name).Order());
        foreach (var table in difference.Tables)
        {
            try
            {
                DifferenceCheck.Check(table, table.Changes().ToList(), difference.IsRewritten, rowsBefore, rowsAfter);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"In {table.Before?.Sql} -> {table.After?.Sql}, {difference.After.Schema.Encoding}, rewritten {difference.IsRewritten}, {table.KeyNote}:\n" +
                    $"{string.Join("\n", rowsBefore.Tables.GetValueOrDefault(table.Before?.Name ?? "")?.Rows ?? [])}\n->\n" +
                    $"{string.Join("\n", rowsAfter.Tables.GetValueOrDefault(table.After?.Name ?? "")?.Rows ?? [])}\nby\n{string.Join("\n", table.Changes())}", e);
            }
        }
    }
}
