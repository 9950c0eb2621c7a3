namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// Pages that were flipped, cut, swapped and overwritten: an error that names a page, or rows; and nothing else.
/// </summary>
public class FuzzTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Damaged_pages_are_errors_and_cost_little() => Seeds.Run(120, random =>
    {
        using var database = new RandomDatabase(random);
        for (var i = random.Next(1, 6); i > 0; i--) database.Commit(random.Next(1, 25));
        var file = database.File;
        var pageSize = new MemoryPages(file).PageSize;
        for (var i = 0; i < 40; i++)
        {
            var pages = new MemoryPages(Damage.Some(random, file), pageSize);
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var tables = ReadAll(pages);
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            var most = 2_000_000 + (tables + 1) * (40L * pages.PageSize + 4L * file.Length);
            Assert.True(allocated < most, $"{allocated} bytes were allocated for a database of {file.Length}.");
            Assert.True(pages.Reads <= (tables + 2) * (2 + 3L * pages.PageCount),
                $"{pages.Reads} pages were read of {pages.PageCount}.");
        }
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Differences_of_damaged_pages_are_errors_and_cost_little() => Seeds.Run(120, random =>
    {
        using var database = new RandomDatabase(random);
        for (var i = random.Next(1, 6); i > 0; i--) database.Commit(random.Next(1, 25));
        var before = database.File;
        database.Commit(random.Next(1, 10), rebuilds: false);
        var after = database.File;
        var pageSize = new MemoryPages(before).PageSize;
        for (var i = 0; i < 20; i++)
        {
            var pagesBefore = new MemoryPages(random.Next(2) == 0 ? before : Damage.Some(random, before), pageSize);
            var pagesAfter = new MemoryPages(Damage.Some(random, after), pageSize);
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var tables = DifferAll(pagesBefore, pagesAfter,
                random.Next(2) == 0 ? new PageEquality(pagesBefore, pagesAfter) : null);
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            var most = 4_000_000 + (tables + 1) * (200L * pageSize + 20L * (before.Length + after.Length));
            Assert.True(allocated < most,
                $"{allocated} bytes were allocated for databases of {before.Length} and {after.Length}.");
        }
    });

    static int DifferAll(MemoryPages before, MemoryPages after, IPageComparison? comparison)
    {
        VersionDifference difference;
        try
        {
            difference = new VersionDifference(new RowReader(before), new RowReader(after), comparison);
        }
        catch (DatabaseDamagedException)
        {
            return 0;
        }
        foreach (var table in difference.Tables)
        {
            try
            {
                foreach (var change in table.Changes())
                    Assert.True(change.Before is not null || change.After is not null);
            }
            catch (DatabaseDamagedException e)
            {
                Assert.InRange(e.Page, 1u, Math.Max(before.PageCount, after.PageCount));
            }
        }
        return difference.Tables.Count;
    }

    static int ReadAll(MemoryPages pages)
    {
        RowReader reader;
        try
        {
            reader = new RowReader(pages);
        }
        catch (DatabaseDamagedException e)
        {
            Assert.InRange(e.Page, 1u, Math.Max(1, pages.PageCount));
            return 0;
        }
        foreach (var table in reader.Schema.Tables)
        {
            try
            {
                var cursor = reader.Read(table);
                while (cursor.Read())
                    for (var i = 0; i < table.Columns.Count; i++) _ = cursor[i].Kind;
            }
            catch (DatabaseDamagedException e)
            {
                Assert.InRange(e.Page, 1u, pages.PageCount);
            }
        }
        return reader.Schema.Tables.Count;
    }
}
