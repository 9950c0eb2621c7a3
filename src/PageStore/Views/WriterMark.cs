using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;

namespace RecoveryVfs.PageStore.Views;

/// <summary>Changes when a store's writer flushes, publishes hints or goes to another segment.</summary>
internal readonly record struct WriterMark(ManifestMark Pages, string? Hints, string? Segment)
{
    public static WriterMark Of(StoreOptions options)
    {
        var (disk, home) = (options.Disk, options.Home);
        return new(
            ManifestMark.Of(home.Pages),
            disk.List(home.Path).Where(n => n.StartsWith("hints-", StringComparison.Ordinal))
                .Max(StringComparer.Ordinal),
            disk.List(Path.Combine(home.IsReplica ? home.Relay : home.Path, "log"))
                .Where(n => n.EndsWith(".log", StringComparison.Ordinal)).Max(StringComparer.Ordinal));
    }
}
