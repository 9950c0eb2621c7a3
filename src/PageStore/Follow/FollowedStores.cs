using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>Logs of stores of databases.</summary>
internal sealed class FollowedStores : IFollowedKind
{
    public static FollowedStores Instance { get; } = new();

    public void ThrowUnlessOfThisKind(StoreObject store, string location) => store.ThrowUnlessDatabases(location);

    public void ThrowUnlessFollower(FollowerOptions options) => options.Store.Home.ThrowUnlessFollower();

    public IFollowedReplica? TryOpen(FollowerOptions options, RemoteContext reading, Guid? sourceLogId,
        DiskReserve room) =>
        FollowedReplica.TryOpen(options, sourceLogId, room);

    public Task<FollowerBeginning> BeginAsync(RemoteContext context, StoreObject store, FollowerOptions options,
        DiskReserve room, Task<ulong?>? newest, CancellationToken cancellation) =>
        new FollowerDirectory(context, store, options, room).BeginAsync(newest, cancellation);
}
