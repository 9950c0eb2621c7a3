using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>A store of databases that follows: readers see each record as it is applied.</summary>
internal sealed class FollowedReplica : IFollowedReplica
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

    public ulong ReadableLsn => NextLsn - 1;

    public bool IsWhole => Replica.IsWhole;

    public bool IsHalfApplied { get; private set; }

    public bool IsLazy => Replica.Lazy is not null;

    public ulong? FetchesFromLsn => options.Store.Home.IsLazy ? Replica.Lazy?.HintsLsn : null;

    public RecoveryException? Lost => Replica.Lazy?.Lost;

    public void SetSource(Guid logId) => Replica.SetSource(logId, 0);

    public void DeclareWhole() => Replica.DeclareWhole();

    public Task FetchRestAsync(CancellationToken cancellation) =>
        Replica.Lazy?.FillAsync(patient: false, cancellation) ?? Task.CompletedTask;

    public FollowerReader ReaderOf(IReadHost host) => new(host, Replica.Replayed, wals);

    public AppliedSegment Apply(RemoteSegment segment, Guid logId, ulong last = ulong.MaxValue)
    {
        segment.ThrowIfGap();
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

    public bool IsSettleDue => unsettledBytes >= options.SettleBytes
        || (hasUnsettled && options.Store.Time.GetElapsedTime(settledAt) >= options.SettleInterval);

    public Task<bool> SettleAtEndAsync(CancellationToken cancellation)
    {
        if (hasUnsettled && IsSettleDue) Settle();
        return Task.FromResult(true);
    }

    public Task SettleAsync(CancellationToken cancellation)
    {
        Settle();
        return Task.CompletedTask;
    }

    void Settle()
    {
        store.Settle();
        hasUnsettled = false;
        unsettledBytes = 0;
        settledAt = options.Store.Time.GetTimestamp();
    }

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
