namespace RecoveryVfs.Rows.Differences;

/// <summary>Two versions of a database, and which of their pages need be looked at for a difference.</summary>
internal sealed class ComparedVersions
{
    public ComparedVersions(RowReader before, RowReader after, IPageComparison? comparison)
    {
        (Before, After) = (before, after);
        Changed = new ChangedPages(before.Pages, after.Pages, comparison);
        OverflowOwners.Mark(before, after, Changed);
        Dirty = DirtyPages.Find(before, after, Changed);
        var cookiesDiffer = before.Pages.Header?.SchemaCookie != after.Pages.Header?.SchemaCookie;
        IsRewritten = cookiesDiffer
            && (before.Pages.Size != after.Pages.Size || Changed.IsAll || Changed.Count > Changed.Shared / 2);
    }

    public RowReader Before { get; }
    public RowReader After { get; }
    public ChangedPages Changed { get; }

    /// <summary>What need be read of tables with rowids; null when that is not known.</summary>
    public DirtyPages? Dirty { get; }

    /// <summary>Whether the database seems to have been written anew between the versions, as VACUUM does.</summary>
    public bool IsRewritten { get; }
}
