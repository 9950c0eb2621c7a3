using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// The rows that differ by the key of the table's tree: its rowid, or the primary key when it is WITHOUT ROWID.
/// </summary>
internal sealed class DifferingRows(ComparedVersions versions, Table before, Table after)
{
    readonly ColumnMap columns = new(before, after);
    readonly long mostBefore = versions.Before.MostRowBytes, mostAfter = versions.After.MostRowBytes;

    public ColumnMap Columns => columns;

    ChangedPages Changed => columns.KeepsRecords ? versions.Changed : ChangedPages.All;

    public IEnumerable<RowChange> Changes()
    {
        var (walkBefore, walkAfter) = (Walk(versions.Before, before), Walk(versions.After, after));
        var isCovered = columns.KeepsRecords && DirtyPages.Covers(before) && DirtyPages.Covers(after);
        var dirty = isCovered ? versions.Dirty : null;
        walkBefore.SetLevels(dirty?.Before.LeafDepth(before));
        walkAfter.SetLevels(dirty?.After.LeafDepth(after));
        var merge = new TreeMerge(walkBefore, walkAfter, Order(), Changed, dirty);
        foreach (var change in Changes(merge)) yield return change;
        walkBefore.Release();
        walkAfter.Release();
    }

    IEnumerable<RowChange> Changes(TreeMerge merge)
    {
        while (true)
        {
            switch (merge.Next())
            {
                case MergeStep.End:
                    yield break;
                case MergeStep.OnlyBefore:
                    yield return new RowChange(ChangeKind.Delete, RowOf(before, merge.Before, mostBefore), null);
                    break;
                case MergeStep.OnlyAfter:
                    yield return new RowChange(ChangeKind.Insert, null, RowOf(after, merge.After, mostAfter));
                    break;
                default:
                    if (Compare(merge) is { } update) yield return update;
                    break;
            }
        }
    }

    static TreeWalk Walk(RowReader reader, Table table) => new(reader.Pages, table.Root, !table.IsWithoutRowId);

    RowOrder Order() =>
        after.IsWithoutRowId
            ? new KeyOrder(after.Key, after.Encoding, Math.Min(mostBefore, mostAfter))
            : new RowIdOrder();

    RowChange? Compare(TreeMerge merge)
    {
        if (merge.InUnchangedPage && columns.IsSame) return null;
        if (columns.IsSame && merge.Before.Payload(mostBefore).SequenceEqual(merge.After.Payload(mostAfter)))
            return null;
        var (was, row) = (RowOf(before, merge.Before, mostBefore), RowOf(after, merge.After, mostAfter));
        return columns.SameValues(was, row) ? null : new RowChange(ChangeKind.Update, was, row);
    }

    static Row RowOf(Table table, TreeWalk walk, long most) =>
        new(table, walk.Cell.RowId, walk.Payload(most), walk.Page.Number);
}
