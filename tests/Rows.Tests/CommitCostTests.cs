namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// What a stream of rows costs: each commit compared with the one before, pages read and memory asked for. It is what
/// the commit changed, whatever the size of the database and the number of its tables.
/// </summary>
public sealed class CommitCostTests : IDisposable
{
    const int Commits = 12, SmallRows = 2_000, LargeRows = 60_000;

    readonly string path = Path.Combine(Path.GetTempPath(), $"rows-{Guid.NewGuid():N}");
    int made;

    public void Dispose()
    {
        for (var i = 0; i < made; i++) File.Delete($"{path}-{i}");
    }

    [Theory]
    [InlineData("id INTEGER PRIMARY KEY, k TEXT, v BLOB", "", 50)]
    [InlineData("id INT PRIMARY KEY, k TEXT, v BLOB", "", 50)]
    [InlineData("id INT PRIMARY KEY, k TEXT, v BLOB", "WITHOUT ROWID", 50)]
    [InlineData("n TEXT COLLATE NOCASE DEFAULT 'n', id, k TEXT, v, PRIMARY KEY(id DESC, n)", "WITHOUT ROWID", 50)]
    [InlineData("id INTEGER PRIMARY KEY, k TEXT, v BLOB", "", 900)]
    public void A_commit_of_one_row_costs_as_much_in_a_large_database_as_in_a_small_one(string columns,
        string options, int bytes)
    {
        var small = Measure(columns, options, bytes, SmallRows, tables: 1);
        var large = Measure(columns, options, bytes, bytes > 500 ? LargeRows / 3 : LargeRows, tables: 40);

        Assert.True(large.Pages > 8 * small.Pages, $"{large.Pages} against {small.Pages} pages");
        // The large tree is a level or two deeper, which each look for a row costs both versions.
        Assert.True(large.Reads <= small.Reads + 30, $"{large.Reads} pages are read, {small.Reads} of few");
        Assert.True(large.Reads < 90, $"{large.Reads} pages are read for a commit");
        Assert.True(large.Allocated < 40_000, $"{large.Allocated} bytes are asked for, {small.Allocated} of few");
    }

    /// <summary>The most that any of some commits cost but the first ones, which learn where things are.</summary>
    (uint Pages, int Reads, long Allocated) Measure(string columns, string options, int bytes, int rows, int tables)
    {
        using var db = new Sqlite(Next());
        db.Do("PRAGMA page_size=512");
        db.Do("PRAGMA synchronous=OFF");
        db.Do("BEGIN");
        for (var i = 1; i < tables; i++)
            db.Script($"CREATE TABLE x{i}(a INTEGER PRIMARY KEY, b); CREATE INDEX i{i} ON x{i}(b); "
                + $"INSERT INTO x{i}(b) VALUES({i});");
        db.Do($"CREATE TABLE t({columns}) {options}");
        db.Do("CREATE INDEX by_k ON t(k)");
        db.Do($"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
            + $"INSERT INTO t(id, k, v) SELECT i, hex(i), zeroblob({bytes}) FROM n");
        db.Do("COMMIT");
        // Free pages, as a database has them that has been used for a while.
        db.Do($"DELETE FROM t WHERE id % 10 = 0 AND id > {rows / 2}");
        var versions = new Versions(File());
        var (reads, allocated) = (0, 0L);
        for (var i = 0; i < Commits; i++)
        {
            db.Do($"UPDATE t SET v = randomblob({bytes}), k = k || 'x' WHERE id = ?", rows / 2 + 1 + i % 5);
            var (changes, read, asked) = versions.Take(File());
            Assert.Equal(ChangeKind.Update, Assert.Single(changes).Kind);
            if (i >= Commits / 2) (reads, allocated) = (Math.Max(reads, read), Math.Max(allocated, asked));
        }
        return (versions.PageCount, reads, allocated);

        byte[] File() => System.IO.File.ReadAllBytes($"{path}-{made - 1}");
    }

    string Next() => $"{path}-{made++}";

    /// <summary>A version after the other, as a stream has them.</summary>
    sealed class Versions(byte[] first)
    {
        MemoryPages pages = new(first);
        RowReader? reader;

        public uint PageCount => pages.PageCount;

        public (List<RowChange> Changes, int Reads, long Allocated) Take(byte[] file)
        {
            var (before, after) = (pages, new MemoryPages(file));
            var shared = Math.Min(before.PageCount, after.PageCount);
            var known = new Listed(new PageEquality(before, after).Changed(shared)!);
            reader ??= new RowReader(before);
            (before.Reads, after.Reads) = (0, 0);
            var changes = new List<RowChange>();
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var next = new RowReader(after, reader);
            foreach (var table in new VersionDifference(reader, next, known).TouchedTables())
                changes.AddRange(table.Changes());
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            var reads = before.Reads + after.Reads;
            (pages, reader) = (after, next);
            return (changes, reads, allocated);
        }
    }

    sealed class Listed(IEnumerable<uint> pages) : IPageComparison
    {
        readonly HashSet<uint> pages = [.. pages];

        public bool SurelyEqual(uint page) => !pages.Contains(page);

        public IEnumerable<uint> Changed(uint count) => pages.Where(p => p <= count);
    }
}
