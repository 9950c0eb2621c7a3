namespace RecoveryVfs.Rows.Tests;

/// <summary>Pages that were flipped, cut, swapped and overwritten: an error that names a page, or rows; and nothing else.</summary>
public class FuzzTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Damaged_pages_are_errors_and_cost_little() => Seeds.Run(60, random =>
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
            Assert.True(pages.Reads <= (tables + 2) * (2 + 3L * pages.PageCount), $"{pages.Reads} pages were read of {pages.PageCount}.");
        }
    });

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
