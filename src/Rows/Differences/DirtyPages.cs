using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// The pages of tables that changed, and all pages above them, in either version. A page that both versions have at the
/// same place and that is not among them is the same in both with all that is under it, and need not be read. Known
/// only where few pages changed: each is looked for in the trees, by its first key.
/// </summary>
internal sealed class DirtyPages
{
    // With more, all pages above the leaves are read; they are few beside those that changed.
    const int MostPages = 128;

    // From so many pages on, the type of a tree's page may also be the beginning of a page's number.
    const uint FirstAmbiguous = 0x0200_0000;

    const int MostLikelyOwners = 1 << 16;

    readonly HashSet<uint> pages = [];

    public bool this[uint page] => pages.Contains(page);

    /// <summary>What the changed pages are in the earlier version.</summary>
    public Found Before { get; } = new();

    /// <summary>What the changed pages are in the later version.</summary>
    public Found After { get; } = new();

    /// <summary>What the changed pages are in one version.</summary>
    internal sealed class Found
    {
        readonly Dictionary<Table, int> leafDepths = [];

        /// <summary>Those in the tree of a table, and whether that is one of rowids.</summary>
        public List<(uint Page, bool OfRowIds)> OfTables { get; } = [];

        /// <summary>Those that may be no page of a tree: overflow pages are among them.</summary>
        public HashSet<uint> OfNoTree { get; } = [];

        /// <summary>How many pages are above each leaf of a table; null when no leaf of it changed.</summary>
        public int? LeafDepth(Table table) => leafDepths.TryGetValue(table, out var depth) ? depth : null;

        internal void Add(Table table, TreePage page, int depth)
        {
            OfTables.Add((page.Number, page.OfRowIds));
            if (page.IsLeaf) leafDepths[table] = depth;
        }
    }

    /// <summary>Null when too many pages changed, or when one cannot be looked for.</summary>
    public static DirtyPages? Find(RowReader before, RowReader after, ChangedPages changed)
    {
        if (changed.IsAll || changed.Count > MostPages) return null;
        var dirty = new DirtyPages();
        var numbers = changed.Pages();
        dirty.pages.UnionWith(numbers);
        try
        {
            dirty.Take(before, numbers, dirty.Before);
            dirty.Take(after, numbers, dirty.After);
            return dirty;
        }
        catch (DatabaseDamagedException)
        {
            // What is in no tree may hold anything. Whether what is in one is damaged shows when it is read.
            return null;
        }
    }

    /// <summary>Whether the ways to changed pages of a table are known.</summary>
    public static bool Covers(Table table) =>
        !table.IsWithoutRowId || Array.TrueForAll(table.Key, k => Values.Knows(k.Collation));

    void Take(RowReader reader, uint[] numbers, Found found)
    {
        var page = new TreePage(reader.Pages);
        var path = new TreePath(reader.Pages, reader.MostRowBytes);
        Table? last = null;
        foreach (var number in numbers)
        {
            if (number == 1) continue;
            var isOfTree = page.TryLoad(number);
            if (!isOfTree || reader.Pages.Count >= FirstAmbiguous) found.OfNoTree.Add(number);
            // One without cells is a root, or in no tree.
            if (isOfTree && page.CellCount > 0 && Owner(reader.Schema, page, path, last) is { } owner)
            {
                last = owner;
                pages.UnionWith(path.Above);
                found.Add(owner, page, path.Above.Count);
            }
        }
        page.Release();
        path.Release();
    }

    /// <summary>The table that a page is of. Looked for first where it was, and where its neighbour is.</summary>
    static Table? Owner(DatabaseSchema schema, TreePage page, TreePath path, Table? last)
    {
        bool Is(Table table) => table.IsWithoutRowId != page.OfRowIds && Covers(table) && path.Leads(table, page);

        if (schema.LikelyOwners.TryGetValue(page.Number, out var likely) && Is(likely)) return likely;
        if (last is not null && last != likely && Is(last)) return Found(last);
        foreach (var table in schema.Tables)
            if (table != likely && table != last && Is(table)) return Found(table);
        return null;

        Table Found(Table table)
        {
            if (schema.LikelyOwners.Count >= MostLikelyOwners) schema.LikelyOwners.Clear();
            return schema.LikelyOwners[page.Number] = table;
        }
    }
}
