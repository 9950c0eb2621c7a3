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

    readonly HashSet<uint> pages = [];

    public bool this[uint page] => pages.Contains(page);

    /// <summary>Null when too many pages changed, or when one cannot be looked for.</summary>
    public static DirtyPages? Find(RowReader before, RowReader after, ChangedPages changed)
    {
        if (changed.IsAll || changed.Count > MostPages) return null;
        var dirty = new DirtyPages();
        var numbers = changed.Pages().ToList();
        dirty.pages.UnionWith(numbers);
        try
        {
            dirty.Take(before, numbers);
            dirty.Take(after, numbers);
            return dirty;
        }
        catch (DatabaseDamagedException)
        {
            // What is in no tree may hold anything. Whether what is in one is damaged shows when it is read.
            return null;
        }
    }

    void Take(RowReader reader, List<uint> numbers)
    {
        var page = new TreePage(reader.Pages);
        var path = new List<uint>();
        var bytes = new byte[reader.Pages.Size];
        foreach (var number in numbers)
        {
            if (number == 1) continue;
            reader.Pages.Read(number, number, bytes);
            if (bytes[0] is not (5 or 13)) continue;
            page.Load(number, number, ofRowIds: true);
            if (page.CellCount == 0) continue; // A root, or in no tree.
            page.Read(0, out var cell);
            foreach (var table in reader.Schema.Tables)
            {
                if (table.IsWithoutRowId || !Reaches(reader, table.Root, number, cell.RowId, path)) continue;
                pages.UnionWith(path);
                break;
            }
        }
    }

    /// <summary>Whether the way to a key leads through a page, and the pages on it.</summary>
    static bool Reaches(RowReader reader, uint root, uint wanted, long rowId, List<uint> path)
    {
        const int mostLevels = 20;
        path.Clear();
        var page = new TreePage(reader.Pages);
        for (var (number, from) = (root, 1u); path.Count < mostLevels;)
        {
            if (number == wanted) return true;
            path.Add(number);
            page.Load(number, from, ofRowIds: true);
            if (page.IsLeaf) return false;
            var (low, high) = (0, page.CellCount);
            while (low < high)
            {
                var middle = (low + high) / 2;
                page.Read(middle, out var cell);
                if (cell.RowId < rowId) low = middle + 1;
                else high = middle;
            }
            (from, number) = (number, page.Child(low));
        }
        return false;
    }
}
