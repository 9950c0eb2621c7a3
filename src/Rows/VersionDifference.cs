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
    readonly TablePairs pairs;
    List<TableDifference>? tables;

    /// <summary>
    /// The difference from <paramref name="before"/> to <paramref name="after"/>. <paramref name="comparison"/> tells
    /// which of their pages are equal.
    /// </summary>
    public VersionDifference(RowReader before, RowReader after, IPageComparison? comparison = null)
    {
        versions = new ComparedVersions(before, after, comparison);
        pairs = new TablePairs(before.Schema, after.Schema);
        SchemaChanges = pairs.Changes();
    }

    /// <summary>What happened to the schema: tables, indexes, views and triggers.</summary>
    public IReadOnlyList<SchemaChange> SchemaChanges { get; }

    /// <summary>
    /// Every table of both versions, dropped ones first. A table whose key is another one than before is two: one
    /// dropped, one created. Whether a table differs shows when its changes are read.
    /// </summary>
    public IReadOnlyList<TableDifference> Tables =>
        tables ??= [.. pairs.Tables().Select(p => new TableDifference(versions, p.Before, p.After))];

    /// <summary>
    /// Those of <see cref="Tables"/> of which something changed, as far as that shows without reading them. Of a commit
    /// that changed few pages these are few, however many tables there are.
    /// </summary>
    public IEnumerable<TableDifference> TouchedTables()
    {
        if (tables is not null) return tables.Where(t => !IsUntouched(t.Before, t.After));
        return pairs.Tables().Where(p => !IsUntouched(p.Before, p.After))
            .Select(p => new TableDifference(versions, p.Before, p.After));

        bool IsUntouched(Table? before, Table? after) =>
            before is not null && after is not null && versions.IsUntouched(before, after);
    }

    /// <summary>
    /// Whether the database seems to have been written anew between the versions, as VACUUM does: rows without a key of
    /// their own may have other rowids.
    /// </summary>
    public bool IsRewritten => versions.IsRewritten;

    internal RowReader Before => versions.Before;
    internal RowReader After => versions.After;
}
