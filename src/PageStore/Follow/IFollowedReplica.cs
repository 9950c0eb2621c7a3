using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>What a segment brought.</summary>
/// <param name="Groups">Record groups that were new.</param>
/// <param name="LastTime">When the last of them was written; null when none was new.</param>
internal readonly record struct AppliedSegment(long Groups, DateTimeOffset? LastTime);

/// <summary>
/// A follower's open replica: it takes the remote's segments and brings them into files now and then. Changed by one
/// thread.
/// </summary>
internal interface IFollowedReplica : IDisposable
{
    /// <summary>The next record that it needs.</summary>
    ulong NextLsn { get; }

    /// <summary>Readers see all records up to it.</summary>
    ulong ReadableLsn { get; }

    /// <summary>Whether what it holds is one state of its log.</summary>
    bool IsWhole { get; }

    /// <summary>Whether a segment's application broke off: it must be opened again before anything else.</summary>
    bool IsHalfApplied { get; }

    /// <summary>Whether it is time to bring what was applied into files.</summary>
    bool IsSettleDue { get; }

    /// <summary>Whether it was opened before all was here.</summary>
    bool IsLazy { get; }

    /// <summary>The hints that it still fetches from; null when it does not.</summary>
    ulong? FetchesFromLsn { get; }

    /// <summary>Why what it still fetches from is lost; null when it is not.</summary>
    RecoveryException? Lost { get; }

    /// <summary>Says whose log is followed.</summary>
    void SetSource(Guid logId);

    /// <summary>
    /// The caller knows that there was never anything after the last record applied: so nothing of it can be here.
    /// </summary>
    void DeclareWhole();

    /// <summary>Throws <see cref="DivergedException"/> when what is here is not what the writer had.</summary>
    /// <param name="segment">What came.</param>
    /// <param name="logId">Whose log it is.</param>
    /// <param name="last">The last record of it that is wanted; it ends a group.</param>
    AppliedSegment Apply(RemoteSegment segment, Guid logId, ulong last = ulong.MaxValue);

    /// <summary>Brings what was applied into files, and before readers where they read files.</summary>
    Task SettleAsync(CancellationToken cancellation);

    /// <summary>
    /// Nothing more was there at a look: settles, if that is due. False when readers may not see yet what can be seen.
    /// </summary>
    Task<bool> SettleAtEndAsync(CancellationToken cancellation);

    /// <summary>Brings in what is only fetched when it is read; throws when the remote cannot be reached.</summary>
    Task FetchRestAsync(CancellationToken cancellation);

    /// <summary>Leaves the directory as a store of its own; this is closed then.</summary>
    void CloseAsStore();
}
