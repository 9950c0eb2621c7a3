using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore;

// Opening, following, and what is done when that fails.
public sealed partial class Follower
{
    long unsettledBytes, settledAt;
    bool hasUnsettled;
    ulong divergedLsn;

    /// <summary>The log cannot be followed from here: only newer hints help.</summary>
    sealed class BrokenPathException(RecoveryException cause) : Exception(cause.Message, cause)
    {
        public RecoveryException Cause { get; } = cause;
    }

    /// <summary>What was applied here is not what the writer had.</summary>
    sealed class DivergedException(RecoveryException cause) : Exception(cause.Message, cause)
    {
        public RecoveryException Cause { get; } = cause;
    }

    async Task OpenAsync(CancellationToken cancellation)
    {
        source = await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
            ?? throw new RecoveryException(RecoveryError.NotFound, $"There is no remote at {context.Store.Location}: store.json is missing. Check the URL.");
        FollowerDirectory.CheckUsable(Directory);
        if (FollowerDirectory.IsReplica(Directory) && await TryResumeAsync(cancellation)) return;
        await BeginAsync(cancellation);
    }

    /// <summary>Goes on with what the directory has; false when that cannot be: then it is to start over.</summary>
    async Task<bool> TryResumeAsync(CancellationToken cancellation)
    {
        Store? opened = null;
        try
        {
            opened = Store.OpenReplica(options.Store);
            opened.SetReplicaSource(source.LogId, 0);
            opened.KeepRelay();
            if (await context.PlaceOfAsync(source, opened.NextLsn, cancellation) is { } place)
            {
                Adopt(opened, place);
                return true;
            }
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            Set(s => s with { LastError = e });
        }
        catch
        {
            opened?.Dispose();
            throw;
        }
        opened?.Dispose();
        Set(s => s with { StartedOver = s.StartedOver + 1 });
        return false;
    }

    async Task BeginAsync(CancellationToken cancellation)
    {
        var place = await FollowerDirectory.BeginAsync(context, source, options, cancellation);
        var opened = Store.OpenReplica(options.Store);
        opened.SetReplicaSource(source.LogId, 0);
        opened.KeepRelay();
        Adopt(opened, place ?? RemoteLogEnd.Start(source));
    }

    void Adopt(Store opened, RemoteLogEnd place)
    {
        lock (gate)
        {
            store = opened;
            wals = FollowedWals.Of(opened, options.Store.Disk);
            segments = new RemoteSegments(context, source, place, options.Interval);
            hasUnsettled = false;
            unsettledBytes = 0;
            settledAt = options.Store.Time.GetTimestamp();
            state = state with { Lsn = opened.NextLsn - 1, Phase = FollowerPhase.CatchingUp, CaughtUpAt = null };
        }
        Signal();
    }

    async Task RunAsync()
    {
        var stop = stopping.Token;
        for (var failures = 0; ; )
        {
            try
            {
                await FollowAsync(() => failures = 0, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (DivergedException e) when (divergedLsn != state.Lsn)
            {
                // Twice at the same place is not damage here, but there, or a defect.
                divergedLsn = state.Lsn;
                if (!await StartOverAsync(e.Cause, stop)) return;
            }
            catch (Exception e)
            {
                var error = ErrorOf(e);
                if (IsFinal(e, error))
                {
                    Set(s => s with { Phase = FollowerPhase.Failed, LastError = error });
                    return;
                }
                Set(s => s with { Phase = FollowerPhase.Interrupted, LastError = error });
                try
                {
                    if (e is BrokenPathException && await HasNewerHintsAsync(stop) && !await StartOverAsync(error, stop)) return;
                    await Task.Delay(context.Backoff.After(++failures, context.Random), context.Time, stop);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                catch (RecoveryException again) when (again.Error == RecoveryError.Remote)
                {
                    // The outage goes on.
                }
            }
        }
    }

    static RecoveryException ErrorOf(Exception e) => e switch
    {
        RecoveryException known => known,
        BrokenPathException broken => broken.Cause,
        DivergedException diverged => diverged.Cause,
        _ => new RecoveryException(RecoveryError.IoRead, $"The follower met an unexpected error: {e.Message} Start it again; report this if it comes back.", e),
    };

    static bool IsFinal(Exception e, RecoveryException error) => e is not BrokenPathException && error.Error is not (RecoveryError.Remote or RecoveryError.Full);

    /// <summary>Reads and applies until something fails or it is stopped.</summary>
    async Task FollowAsync(Action succeeded, CancellationToken stop)
    {
        await ListAsync(stop);
        while (true)
        {
            await pin.RenewAsync(state.Lsn, stop);
            RemoteSegment? segment;
            var looked = options.Store.Time.GetUtcNow();
            try
            {
                segment = await segments!.TakeAsync(stop);
                if (segment is null && hasUnsettled && IsSettleDue) Settle();
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
            {
                throw new BrokenPathException(e);
            }
            succeeded();
            if (segment is null)
            {
                Set(s => s with { Phase = FollowerPhase.Following, CaughtUpAt = looked, LagBytes = 0, LagRecords = 0, LastError = null, PinError = pin.Error });
                try
                {
                    await segments.WaitAsync(stop);
                }
                catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
                {
                    throw new BrokenPathException(e);
                }
                continue;
            }
            using (segment) Apply(segment);
            if (IsSettleDue) Settle();
        }
    }

    async Task ListAsync(CancellationToken cancellation)
    {
        await segments!.ListAsync(cancellation);
        Set(Measure);
    }

    FollowerState Measure(FollowerState s) => s with
    {
        LagBytes = segments!.ListedBytes,
        LagRecords = (long)(segments.ListedLsn >= store!.NextLsn ? segments.ListedLsn - store.NextLsn + 1 : 0),
        Phase = segments.ListedBytes > 0 ? FollowerPhase.CatchingUp : s.Phase,
    };

    void Apply(RemoteSegment segment)
    {
        if (segment.Header.IsGap)
            throw new BrokenPathException(new RecoveryException(RecoveryError.NotFound,
                $"LSNs {segment.Header.FirstLsn} to {segment.Header.LastLsn} were never shipped ({segment.Name}): the follower needs hints published after them."));
        var groups = 0L;
        var timeMs = 0L;
        try
        {
            using var records = segment.OpenRecords();
            while (records.TryRead(out var record))
            {
                if (record.Lsn < store!.NextLsn) continue;
                store.Apply(record);
                wals!.Take(record);
                timeMs = record.UnixTimeMs;
                if (!record.Continues) groups++;
            }
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            throw new DivergedException(e);
        }
        store!.WriteOutRelay();
        store.SetReplicaSource(source.LogId, segment.Header.Epoch);
        hasUnsettled |= groups > 0;
        unsettledBytes += segment.Header.BodyBytes;
        Set(s => Measure(s) with
        {
            Lsn = store.NextLsn - 1,
            LsnTime = timeMs > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(timeMs) : s.LsnTime,
            Groups = s.Groups + groups,
        });
    }

    bool IsSettleDue => unsettledBytes >= options.SettleBytes
        || hasUnsettled && options.Store.Time.GetElapsedTime(settledAt) >= options.SettleInterval;

    void Settle()
    {
        store!.Settle();
        hasUnsettled = false;
        unsettledBytes = 0;
        settledAt = options.Store.Time.GetTimestamp();
    }

    async Task<bool> HasNewerHintsAsync(CancellationToken cancellation) =>
        await context.HintsUpToAsync(source, ulong.MaxValue, cancellation) is { } hints && hints.Header.Start.NextLsn > segments!.Position.NextLsn;

    /// <summary>
    /// Empties the directory and begins again from the newest hints, as soon as nobody reads; readers keep what they have until then. False when it was
    /// stopped or failed for good.
    /// </summary>
    async Task<bool> StartOverAsync(RecoveryException why, CancellationToken stop)
    {
        Set(s => s with { Phase = FollowerPhase.StartingOver, LastError = why, StartedOver = s.StartedOver + 1 });
        while (true)
        {
            var signal = Volatile.Read(ref moved).Task;
            lock (gate)
            {
                if (readers == 0)
                {
                    CloseStore();
                    break;
                }
            }
            try { await signal.WaitAsync(stop); }
            catch (OperationCanceledException) { return false; }
        }
        for (var failures = 1; ; failures++)
        {
            try
            {
                await BeginAsync(stop);
                return true;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return false;
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Remote or RecoveryError.NotFound or RecoveryError.Full)
            {
                Set(s => s with { LastError = e });
            }
            catch (Exception e)
            {
                Set(s => s with { Phase = FollowerPhase.Failed, LastError = ErrorOf(e) });
                return false;
            }
            try { await Task.Delay(context.Backoff.After(failures, context.Random), context.Time, stop); }
            catch (OperationCanceledException) { return false; }
        }
    }
}
