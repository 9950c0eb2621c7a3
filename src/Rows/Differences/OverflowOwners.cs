using System.Buffers.Binary;
using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// SQLite can change a row in its overflow pages alone: the leaf that points to them stays as it is, and whoever leaves
/// out unchanged leaves would miss the row. So changed pages that may be overflow pages in both versions must be
/// accounted for: they were free in one of them, or belong to a row of a changed page. Usually all are, and that costs
/// what changed. Otherwise the leaves are searched for their owners, and those are marked as changed.
/// </summary>
internal sealed class OverflowOwners
{
    readonly RowReader before, after;
    readonly ChangedPages changed;
    readonly HashSet<uint> open = [];
    readonly byte[] page;
    bool hasMarked;

    OverflowOwners(RowReader before, RowReader after, ChangedPages changed)
    {
        (this.before, this.after, this.changed) = (before, after, changed);
        page = after.Pages.Buffers.Take();
    }

    /// <summary>Whether leaves were marked that were not before.</summary>
    /// <param name="before">The earlier version.</param>
    /// <param name="after">The later version.</param>
    /// <param name="changed">Its pages that changed.</param>
    /// <param name="dirty">Which of them are in tables' trees, where that is known.</param>
    public static bool Mark(RowReader before, RowReader after, ChangedPages changed, DirtyPages? dirty)
    {
        if (changed.IsAll || after.Pages.Header is null || before.Pages.Header is null) return false;
        if (dirty is { After.OfNoTree.Count: 0 } or { Before.OfNoTree.Count: 0 }) return false;
        var owners = new OverflowOwners(before, after, changed);
        owners.Mark(dirty);
        after.Pages.Buffers.Give(owners.page);
        return owners.hasMarked;
    }

    void Mark(DirtyPages? dirty)
    {
        IEnumerable<uint> candidates = dirty is null ? changed.Pages()
            : dirty.After.OfNoTree.Where(dirty.Before.OfNoTree.Contains);
        foreach (var number in candidates)
            if (number > 1 && MayBeOverflow(after.Pages, number) && MayBeOverflow(before.Pages, number))
                open.Add(number);
        if (open.Count == 0) return;
        if (dirty is not null)
        {
            RemoveOwned(after.Pages, dirty.After.OfTables);
            RemoveOwned(before.Pages, dirty.Before.OfTables);
        }
        RemoveFree(after.Pages);
        RemoveFree(before.Pages);
        Search(ofChangedPages: true);
        Search(ofChangedPages: false);
    }

    /// <summary>
    /// Whether it begins with the number of a page, or 0. The types of other pages make numbers of more than 33
    /// million.
    /// </summary>
    bool MayBeOverflow(Pages pages, uint number)
    {
        // A page of pointers back.
        if (pages.Header!.LargestRoot != 0 && (number - 2) % (uint)(pages.UsableSize / 5 + 1) == 0) return false;
        pages.Read(number, number, page);
        return BinaryPrimitives.ReadUInt32BigEndian(page) <= pages.Count;
    }

    /// <summary>
    /// Takes the overflow pages of rows in changed pages off the list: those rows are compared anyway. (A page that a
    /// row of an unchanged leaf had in neither version at this place would have got its number in another page, which
    /// stays on the list.)
    /// </summary>
    void RemoveOwned(Pages pages, List<(uint Page, bool OfRowIds)> ofTables)
    {
        if (open.Count == 0) return;
        var tree = new TreePage(pages);
        foreach (var (number, ofRowIds) in ofTables)
        {
            tree.Load(number, number, ofRowIds);
            for (var i = 0; i < tree.CellCount && open.Count > 0 && (tree.IsLeaf || !ofRowIds); i++)
            {
                tree.Read(i, out var cell);
                if (cell.Overflow != 0) RemoveChain(pages, cell, number);
            }
        }
        tree.Release();
    }

    /// <summary>
    /// Free pages are listed in trunk pages: <c>0 next trunk (u32)   4 count (u32)   8 pages (u32 each)</c>.
    /// </summary>
    void RemoveFree(Pages pages)
    {
        if (open.Count == 0) return;
        var (next, from) = (pages.Header!.FirstFreeTrunk, 1u);
        for (uint trunks = 0; next != 0 && open.Count > 0; trunks++)
        {
            if (trunks > pages.Count)
                throw new DatabaseDamagedException(from, "the list of free pages goes in a circle");
            pages.Read(next, from, page);
            open.Remove(next);
            var count = BinaryPrimitives.ReadUInt32BigEndian(page.AsSpan(4));
            if (count > (uint)(pages.UsableSize / 4 - 2))
                throw new DatabaseDamagedException(next, $"it lists {count} free pages");
            for (var i = 0; i < count; i++) open.Remove(BinaryPrimitives.ReadUInt32BigEndian(page.AsSpan(8 + 4 * i)));
            (from, next) = (next, BinaryPrimitives.ReadUInt32BigEndian(page));
        }
    }

    /// <summary>Walks the trees of the later version, and takes the overflow pages of its rows off the list.</summary>
    void Search(bool ofChangedPages)
    {
        foreach (var entry in after.Schema.Entries)
        {
            if (open.Count == 0) return;
            if (entry.Kind is not (SchemaKind.Table or SchemaKind.Index) || entry.Root == 0) continue;
            // No index has a row that is only in pages of its own; once the changed pages are through, tables alone
            // matter.
            if (!ofChangedPages && entry.Kind == SchemaKind.Index) continue;
            var ofRowIds = entry.Kind == SchemaKind.Table
                && !(after.Schema.TryGetTable(entry.Name, out var table) && table.IsWithoutRowId);
            Search(new TreeWalk(after.Pages, entry.Root, ofRowIds), ofChangedPages);
        }
    }

    void Search(TreeWalk walk, bool ofChangedPages)
    {
        walk.FindLevels();
        while (walk.At != WalkAt.End && open.Count > 0)
        {
            if (walk.At == WalkAt.Subtree)
            {
                if (walk.Level == 0 && changed[walk.Subtree] != ofChangedPages) walk.Leave();
                else walk.Enter();
                continue;
            }
            if (walk.Cell.Overflow != 0 && changed[walk.Page.Number] == ofChangedPages
                && RemoveChain(after.Pages, walk.Cell, walk.Page.Number) && !ofChangedPages)
            {
                changed.Mark(walk.Page.Number);
                hasMarked = true;
            }
            walk.Next();
        }
    }

    bool RemoveChain(Pages pages, in Cell cell, uint from)
    {
        var any = false;
        var next = cell.Overflow;
        for (var left = cell.PayloadBytes - cell.LocalBytes; left > 0; left -= pages.UsableSize - 4)
        {
            any |= open.Remove(next);
            pages.Read(next, from, page);
            (from, next) = (next, BinaryPrimitives.ReadUInt32BigEndian(page));
        }
        return any;
    }
}
