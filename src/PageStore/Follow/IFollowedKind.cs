using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>What differs by what a followed log is of: its beginning, and what its records are applied to.</summary>
internal interface IFollowedKind
{
    /// <summary>Throws when the log is of something else.</summary>
    void ThrowUnlessOfThisKind(StoreObject store, string location);

    /// <summary>Throws when the directory holds something that is not such a follower's.</summary>
    void ThrowUnlessFollower(FollowerOptions options);

    /// <summary>
    /// Opens what the directory has; null when that is nothing, not even whose log it follows. Throws Corrupt when it
    /// has to begin over.
    /// </summary>
    IFollowedReplica? TryOpen(FollowerOptions options, RemoteContext reading, Guid? sourceLogId, DiskReserve room);

    /// <summary>
    /// Empties the directory and brings the remote's state into it; where the whole log is to be applied, leaves it
    /// empty.
    /// </summary>
    /// <param name="context">The remote.</param>
    /// <param name="store">What it says of itself.</param>
    /// <param name="options">The directory, and how it is filled.</param>
    /// <param name="room">What its disk must keep free.</param>
    /// <param name="newest">A look which hints are the newest: these may then be believed without looking whether all
    /// that they need is there. Null where that has to be looked at.</param>
    /// <param name="cancellation">Gives up.</param>
    Task<FollowerBeginning> BeginAsync(RemoteContext context, StoreObject store, FollowerOptions options,
        DiskReserve room, Task<ulong?>? newest, CancellationToken cancellation);
}
