using RecoveryVfs.Changes.Versions;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes;

/// <summary>A database of a row tail as one commit left it.</summary>
internal sealed class TailedDatabase(string name, FollowedVersion? version) : IDisposable
{
    RowReader? rows;

    public string Name { get; set; } = name;

    /// <summary>Its rows. The schema is read when it is needed first.</summary>
    public RowReader Rows => rows ??= new RowReader(new VersionPages(version));

    /// <summary>
    /// What changed since an earlier version; <paramref name="written"/> are the pages that were written between.
    /// </summary>
    public VersionDifference ComparedWith(TailedDatabase earlier, PageChanges written)
    {
        rows ??= new RowReader(new VersionPages(version), earlier.Rows);
        return new VersionDifference(earlier.Rows, rows, earlier.IsEmpty ? null : new UnwrittenPages(written));
    }

    bool IsEmpty => version is null;

    public void Dispose() => version?.Dispose();
}
