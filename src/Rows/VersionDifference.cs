using RecoveryVfs.Rows.Differences;

namespace RecoveryVfs.Rows;

/// <summary>
/// What differs between two versions of a database. With an <see cref="IPageComparison"/> it costs what changed: of
/// what is equal, only the pages above the leaves are read. Without one, or when VACUUM gave the database other pages
/// or another page size, both are read, and their rows compared by key. One thread at a time.
/// </summary>
public sealed class VersionDifference
{
    readonly ComparedVersions versions;

    /// <summary>
    /// The difference from <paramref name="before"/> to <paramref name="after"/>. <paramref name="comparison"/> tells
    /// which of their pages are equal.
    /// </summary>
    public VersionDifference(RowReader before, RowReader after, IPageComparison? comparison = null)
    {
        versions = new ComparedVersions(before, after, comparison);
        var pairs = new TablePairs(before.Schema, after.Schema);
        SchemaChanges = pairs.Changes();
        Tables = pairs.Tables().Select(p => new TableDifference(versions, p.Before, p.After)).ToList();
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
    public bool IsRewritten => versions.IsRewritten;

    internal RowReader Before => versions.Before;
    internal RowReader After => versions.After;
}
