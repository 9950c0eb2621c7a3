using RecoveryVfs.Rows.Differences;

namespace RecoveryVfs.Rows;

/// <summary>
/// What differs between two versions of a database. With an <see cref="IPageComparison"/> it costs what changed: of
/// what is equal, only the pages above the leaves are read. Without one, or when VACUUM gave the database other pages
/// or another page size, both are read, and their rows compared by key. One thread at a time.
/// </summary>
public sealed class VersionDifference
{
    /// <summary>
    /// The difference from <paramref name="before"/> to <paramref name="after"/>. <paramref name="comparison"/> tells
    /// which of their pages are equal.
    /// </summary>
    public VersionDifference(RowReader before, RowReader after, IPageComparison? comparison = null)
    {
        (Before, After) = (before, after);
        Changed = new ChangedPages(before.Pages, after.Pages, comparison);
        OverflowOwners.Mark(before, after, Changed);
        Dirty = DirtyPages.Find(before, after, Changed);
        var cookiesDiffer = before.Pages.Header?.SchemaCookie != after.Pages.Header?.SchemaCookie;
        IsRewritten = cookiesDiffer
            && (before.Pages.Size != after.Pages.Size || Changed.IsAll || Changed.Count > Changed.Shared / 2);
        var pairs = new TablePairs(before.Schema, after.Schema);
        SchemaChanges = pairs.Changes();
        Tables = pairs.Tables().Select(p => new TableDifference(this, p.Before, p.After)).ToList();
    }

    /// <summary>What happened to the schema: tables, indexes, views and triggers.</summary>
    public IReadOnlyList<SchemaChange> SchemaChanges { get; }

    /// <summary>
    /// Every table of both versions, dropped ones first. A table whose key is another one than before is two: one
    /// dropped, one created. Whether a table differs shows when its changes are read.
    /// </summary>
    public IReadOnlyList<TableDifference> Tables { get; }

    /// <summary>
    /// Whether the database seems to have been written anew between the versions, as VACUUM does: rows without a key of
    /// their own may have other rowids.
    /// </summary>
    public bool IsRewritten { get; }

    internal RowReader Before { get; }
    internal RowReader After { get; }
    internal ChangedPages Changed { get; }

    /// <summary>What need be read of tables with rowids; null when that is not known.</summary>
    internal DirtyPages? Dirty { get; }
}
