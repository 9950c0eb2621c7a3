namespace RecoveryVfs.Rows.Differences;

/// <summary>Two versions of a database, and which of their pages need be looked at for a difference.</summary>
internal sealed class ComparedVersions
{
    public ComparedVersions(RowReader before, RowReader after, IPageComparison? comparison)
    {
        (Before, After) = (before, after);
        Changed = new ChangedPages(before.Pages, after.Pages, comparison);
        Dirty = DirtyPages.Find(before, after, Changed);
        if (OverflowOwners.Mark(before, after, Changed, Dirty)) Dirty = DirtyPages.Find(before, after, Changed);
        var cookiesDiffer = before.Pages.Header?.SchemaCookie != after.Pages.Header?.SchemaCookie;
        IsRewritten = cookiesDiffer
            && (before.Pages.Size != after.Pages.Size || Changed.IsAll || Changed.Count > Changed.Shared / 2);
    }

    public RowReader Before { get; }
    public RowReader After { get; }
    public ChangedPages Changed { get; }

    /// <summary>What need be read of tables; null when that is not known.</summary>
    public DirtyPages? Dirty { get; }

    /// <summary>
    /// Whether nothing of a table changed, rows or columns: told without reading a page. False is always allowed.
    /// </summary>
    public bool IsUntouched(Table before, Table after) => Dirty is { } dirty && before.Root == after.Root
        && !dirty[after.Root] && DirtyPages.Covers(before) && DirtyPages.Covers(after)
        && new ColumnMap(before, after).KeepsRecords;

    /// <summary>Whether the database seems to have been written anew between the versions, as VACUUM does.</summary>
    public bool IsRewritten { get; }
}
