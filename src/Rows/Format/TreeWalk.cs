namespace RecoveryVfs.Rows.Format;

/// <summary>Where a walk stands: before a subtree that it may enter or leave out, at a row, or at the end.</summary>
internal enum WalkAt
{
    Subtree,
    Row,
    End,
}

/// <summary>
/// A walk through a b-tree in key order, which can leave subtrees out without reading them. It holds one page a level.
/// No page is entered twice: more pages than the database has mean a circle, and so the work is bounded whatever the
/// pages hold.
/// </summary>
internal sealed class TreeWalk
{
    /// <summary>SQLite's own limit: 2^20 pages at the very least hang under such a tree.</summary>
    const int MostLevels = 20;

    readonly Pages pages;
    readonly OverflowChain overflow;
    readonly uint root;
    readonly bool ofRowIds;
    readonly TreePage?[] levels = new TreePage?[MostLevels];
    int depth; // Of the page that the walk is in; -1 before the root.
    int leafDepth = -1;
    uint entered;
    long lastRowId;
    bool anyRow;
    bool assembled; // Whether the row's overflow pages were read.

    public TreeWalk(Pages pages, uint root, bool ofRowIds)
    {
        (this.pages, this.root, this.ofRowIds) = (pages, root, ofRowIds);
        overflow = new OverflowChain(pages);
        Restart();
    }

    public bool IsOfRowIds => ofRowIds;

    /// <summary>Whether it is below the root.</summary>
    public bool HasPage => depth >= 0;

    public WalkAt At { get; private set; }

    /// <summary>The page that the walk is in: that of the row, or the one that holds the subtree's number.</summary>
    public TreePage Page => levels[Math.Max(depth, 0)]!;

    /// <summary>At a row: its cell.</summary>
    public Cell Cell;

    /// <summary>At a subtree: its page.</summary>
    public uint Subtree { get; private set; }

    /// <summary>At a subtree: how far it is above the leaves; 0 is a leaf. Known once a leaf was reached.</summary>
    public int Level => leafDepth < 0
        ? throw new InvalidOperationException("No leaf was reached yet.")
        : leafDepth - depth - 1;

    public void Restart()
    {
        (depth, entered, anyRow) = (-1, 0, false);
        overflow.Restart();
        (At, Subtree) = (WalkAt.Subtree, root);
    }

    /// <summary>Whether <see cref="Level"/> is known.</summary>
    public bool HasLevels => leafDepth >= 0;

    /// <summary>
    /// Says how many pages are above each leaf, where that is known; a tree that is not so is damaged.
    /// </summary>
    public void SetLevels(int? pagesAboveLeaves) => leafDepth = pagesAboveLeaves ?? leafDepth;

    /// <summary>Goes down the left side once, so that <see cref="Level"/> is known, and starts again.</summary>
    public void FindLevels()
    {
        while (At == WalkAt.Subtree) Enter();
        Restart();
    }

    /// <summary>At a subtree of rowids: whether all its keys are above a bound, and the bound.</summary>
    public bool TryGetLowerBound(out long bound)
    {
        for (var d = depth; d >= 0; d--)
        {
            if (levels[d]!.Index == 0) continue;
            levels[d]!.Read(levels[d]!.Index - 1, out var cell);
            bound = cell.RowId;
            return true;
        }
        bound = 0;
        return false;
    }

    /// <summary>
    /// From a subtree into it: to its first row, or its first subtree. What <paramref name="same"/> is known to have,
    /// too, is not read again.
    /// </summary>
    public void Enter(TreePage? same = null)
    {
        if (depth + 1 >= MostLevels) throw Page.Damaged($"there are more than {MostLevels} pages above it");
        if (++entered > pages.Count) throw Page.Damaged("the pages under it go in a circle");
        var from = depth < 0 ? 1 : Page.Number;
        var page = levels[++depth] ??= new TreePage(pages);
        page.Load(Subtree, from, ofRowIds, same);
        if (!page.IsLeaf)
        {
            if (depth == leafDepth) throw page.Damaged("it is deeper than its neighbours, or not deep enough");
            if (page.CellCount == 0 && !ofRowIds) throw page.Damaged("it divides nothing");
            Subtree = page.Child(0);
            return;
        }
        if (leafDepth < 0) leafDepth = depth;
        if (depth != leafDepth) throw page.Damaged("it is deeper than its neighbours, or not deep enough");
        if (page.CellCount == 0)
        {
            if (depth > 0) throw page.Damaged("it is a leaf without cells below a root");
            At = WalkAt.End;
            return;
        }
        if (ofRowIds) CheckBounds(page);
        At = WalkAt.Row;
        ReadCell(page);
    }

    /// <summary>From a subtree to what is after it, which costs no page.</summary>
    public void Leave()
    {
        if (depth < 0) At = WalkAt.End;
        else AfterChild();
    }

    /// <summary>
    /// From a subtree of rowids to the one at <paramref name="index"/> in the same page; past its end, to what is after
    /// the page.
    /// </summary>
    public void LeaveTo(int index)
    {
        levels[depth]!.Index = index - 1;
        AfterChild();
    }

    /// <summary>From a row to what is after it.</summary>
    public void Next()
    {
        var page = levels[depth]!;
        page.Index++;
        if (!page.IsLeaf)
        {
            At = WalkAt.Subtree;
            Subtree = page.Child(page.Index);
        }
        else if (page.Index < page.CellCount)
        {
            ReadCell(page);
        }
        else if (depth == 0)
        {
            At = WalkAt.End;
        }
        else
        {
            depth--;
            AfterChild();
        }
    }

    /// <summary>To the next row, whatever subtrees are before it; false at the end.</summary>
    public bool ToRow()
    {
        while (At == WalkAt.Subtree) Enter();
        return At == WalkAt.Row;
    }

    /// <summary>
    /// To the end, counting the rows on the way; of a leaf, its cells are not looked at one by one.
    /// </summary>
    public long CountRows()
    {
        var count = 0L;
        while (At != WalkAt.End)
        {
            if (At == WalkAt.Subtree)
            {
                Enter();
                continue;
            }
            var page = Page;
            if (page.IsLeaf)
            {
                count += page.CellCount - page.Index;
                page.Index = page.CellCount - 1;
            }
            else
            {
                count++;
            }
            Next();
        }
        return count;
    }

    /// <summary>
    /// All of the row's bytes: in its page, or, when it has overflow pages, in a buffer that the next such row uses
    /// again.
    /// </summary>
    public ReadOnlySpan<byte> Payload(long mostBytes)
    {
        if (Cell.Overflow == 0) return Page.Bytes.Slice(Cell.LocalAt, Cell.LocalBytes);
        if (assembled) return overflow.Last;
        overflow.Read(Page, Cell, mostBytes);
        assembled = true;
        return overflow.Last;
    }

    /// <summary>Gives its room back; it must not be used after that.</summary>
    public void Release()
    {
        overflow.Release();
        for (var level = 0; level < MostLevels && levels[level] is { } page; level++)
        {
            page.Release();
            levels[level] = null;
        }
    }

    void AfterChild()
    {
        for (; depth >= 0; depth--)
        {
            var page = levels[depth]!;
            if (page.Index == page.CellCount) continue;
            if (ofRowIds)
            {
                page.Index++;
                At = WalkAt.Subtree;
                Subtree = page.Child(page.Index);
            }
            else
            {
                At = WalkAt.Row;
                page.Read(page.Index, out Cell);
                assembled = false;
            }
            return;
        }
        depth = 0;
        At = WalkAt.End;
    }

    void ReadCell(TreePage page)
    {
        page.Read(page.Index, out Cell);
        assembled = false;
        if (!ofRowIds) return;
        if (anyRow && Cell.RowId <= lastRowId) throw page.Damaged($"row {Cell.RowId} comes after row {lastRowId}");
        (lastRowId, anyRow) = (Cell.RowId, true);
    }

    /// <summary>A leaf's rows are within what the pages above it say: a merge of two trees counts on that.</summary>
    void CheckBounds(TreePage leaf)
    {
        depth--;
        var bounded = TryGetLowerBound(out var lower);
        depth++;
        leaf.Read(0, out var first);
        if (bounded && first.RowId <= lower)
            throw leaf.Damaged($"row {first.RowId} is not above {lower}, as the pages above it say");
        leaf.Read(leaf.CellCount - 1, out var last);
        for (var d = depth - 1; d >= 0; d--)
        {
            if (levels[d]!.Index == levels[d]!.CellCount) continue;
            levels[d]!.Read(levels[d]!.Index, out var upper);
            if (last.RowId > upper.RowId)
                throw leaf.Damaged($"row {last.RowId} is above {upper.RowId}, against what the pages above it say");
            return;
        }
    }
}
