using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Versions;

/// <summary>The pages of a pinned version, for whoever reads rows; none for a database that was not there.</summary>
internal sealed class VersionPages(FollowedVersion? version) : IPageSource
{
    const int NoPageSize = 4096;

    public int PageSize { get; } = version is { PageSize: > 0 } ? version.PageSize : NoPageSize;

    public uint PageCount { get; } =
        version is { PageSize: > 0 }
            ? (uint)Math.Min((version.SizeBytes + version.PageSize - 1) / version.PageSize, uint.MaxValue)
            : 0;

    public void Read(uint page, Span<byte> destination) =>
        destination[version!.Read((page - 1L) * PageSize, destination)..].Clear();
}

/// <summary>What is known to be equal in two versions, because the log has no write of it between them.</summary>
internal sealed class UnwrittenPages(PageChanges changes) : IPageComparison
{
    public bool SurelyEqual(uint page) => !changes.Contains(page);

    public IEnumerable<uint>? Changed(uint count) => changes.UpTo(count);
}
