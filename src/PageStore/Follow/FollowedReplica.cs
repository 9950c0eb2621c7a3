using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>What a segment brought.</summary>
/// <param name="Groups">Record groups that were new.</param>
/// <param name="LastTime">When the last of them was written; null when none was new.</param>
internal readonly record struct AppliedSegment(long Groups, DateTimeOffset? LastTime);

/// <summary>
/// A follower's open replica: it applies the remote's segments and brings them into files now and then. Changed by one
/// thread.
/// </summary>
internal sealed class FollowedReplica : IDisposable
{
    readonly FollowerOptions options;
    readonly RelayedReplica store;
    readonly FollowedWals wals;
    long unsettledBytes, settledAt;
    bool hasUnsettled;

    FollowedReplica(FollowerOptions options, RelayedReplica store)
    {
        (this.options, this.store) = (options, store);
        wals = store.Replica.OpenWals();
        settledAt = options.Store.Time.GetTimestamp();
    }

    /// <summary>
    /// Opens the replica with its copy of the log; null when it has nothing, not even whose log it follows.
    /// </summary>
    public static FollowedReplica? TryOpen(FollowerOptions options, Guid? sourceLogId, DiskReserve room)
    {
        var opened = Replica.Open(options.Store);
        opened.Replayed.Room = room;
        RelayedReplica? relayed = null;
        try
        {
            if ((sourceLogId ?? opened.SourceLogId) is var logId && logId == default)
            {
                opened.Dispose();
                return null;
            }
            if (opened.Lazy is { } lazy) lazy.MakeDurableInBackground();
            else options.Store.Home.MakeDurable();
            if (options.Fetch != FetchMode.Lazy) opened.Lazy?.FillInBackground();
            relayed = new RelayedReplica(opened, logId);
            return new FollowedReplica(options, relayed);
        }
        catch
        {
            relayed?.Dispose();
            opened.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="Replica"/>
    public Replica Replica => store.Replica;

    public ulong NextLsn => Replica.NextLsn;

    public bool IsWhole => Replica.IsWhole;

    /// <summary>Whether a segment's application broke off: it must be opened again before anything else.</summary>
    public bool IsHalfApplied { get; private set; }

    public FollowerReader ReaderOf(IReadHost host) => new(host, Replica.Replayed, wals);

    /// <summary>Throws <see cref="DivergedException"/> when what is here is not what the writer had.</summary>
    /// <param name="segment">What came.</param>
    /// <param name="logId">Whose log it is.</param>
    /// <param name="last">The last record of it that is wanted; it ends a group.</param>
    public AppliedSegment Apply(RemoteSegment segment, Guid logId, ulong last = ulong.MaxValue)
    {
        if (segment.Header.IsGap)
            throw new BrokenPathException(new RecoveryException(RecoveryError.NotFound,
                $"LSNs {segment.Header.FirstLsn} to {segment.Header.LastLsn} were never shipped ({segment.Name}): "
                    + "the follower needs hints published after them.")
            { Path = segment.Name, Lsn = segment.Header.FirstLsn });
        var groups = 0L;
        var timeMs = 0L;
        IsHalfApplied = true;
        try
        {
            store.Take(Records, Math.Min(last, segment.Header.LastLsn), Applied);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            throw new DivergedException(e);
        }
        IsHalfApplied = false;
        Replica.SetSource(logId, segment.Header.Epoch);
        hasUnsettled |= groups > 0;
        unsettledBytes += segment.Header.BodyBytes;
        return new AppliedSegment(groups, timeMs > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(timeMs) : null);

        void Records(RecordTaken take)
        {
            using var records = segment.OpenRecords();
            while (records.TryRead(out var record) && record.Lsn <= last) take(record);
        }

        void Applied(in Record record)
        {
            wals.Take(record);
            timeMs = record.UnixTimeMs;
            if (!record.Continues) groups++;
        }
    }

    public bool HasUnsettled => hasUnsettled;

    public bool IsSettleDue => unsettledBytes >= options.SettleBytes
        || (hasUnsettled && options.Store.Time.GetElapsedTime(settledAt) >= options.SettleInterval);

    /// <summary>Brings what was applied into files.</summary>
    public void Settle()
    {
        store.Settle();
        hasUnsettled = false;
        unsettledBytes = 0;
        settledAt = options.Store.Time.GetTimestamp();
    }

    /// <summary>Leaves the directory as a store of its own; this is closed then.</summary>
    public void CloseAsStore()
    {
        wals.Dispose();
        store.CloseAsStore();
    }

    public void Dispose()
    {
        wals.Dispose();
        store.Dispose();
    }
}
