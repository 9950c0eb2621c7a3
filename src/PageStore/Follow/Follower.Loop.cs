using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Follow;

// Opening, following, and what is done when that fails.
public sealed partial class Follower
{
    // Readers that were there when the follower must close its store may end for so long before new ones are refused.
    static readonly TimeSpan ReadersPatience = TimeSpan.FromSeconds(30);

    long unsettledBytes, settledAt;
    bool hasUnsettled, hasHalfApplied;
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

    /// <summary>Opens what the directory has; only a directory that has nothing needs the remote for that.</summary>
    async Task OpenAsync(CancellationToken cancellation)
    {
        var home = options.Store.Home;
        home.ThrowUnlessFollower();
        if (home is { IsReplica: true, IsStartingOver: false } && TryResume()) return;
        source = await FetchSourceAsync(cancellation);
        await BeginAsync(cancellation);
    }

    bool TryResume()
    {
        try
        {
            options.Store.Home.ForgetCaughtUp();
            var opened = OpenStore();
            if (opened is null) return false;
            Adopt(opened);
            Set(s => s with { CaughtUpAt = options.Store.Home.CompleteAt });
            return true;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            Set(s => s with { LastError = e, StartedOver = s.StartedOver + 1 });
            return false;
        }
    }

    /// <summary>
    /// Opens the replica with its copy of the log; null when it has nothing, not even whose log it follows.
    /// </summary>
    Replica? OpenStore()
    {
        var opened = Replica.Open(options.Store);
        try
        {
            if ((source?.LogId ?? opened.SourceLogId) is var logId && logId == default)
            {
                opened.Dispose();
                return null;
            }
            opened.SetSource(logId, 0);
            opened.KeepRelay();
            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    async Task<StoreObject> FetchSourceAsync(CancellationToken cancellation) =>
        await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
        ?? throw new RecoveryException(RecoveryError.NotFound,
            $"There is no remote at {context.Store.Location}: store.json is missing. Check the URL.");

    async Task BeginAsync(CancellationToken cancellation)
    {
        var place = await FollowerDirectory.BeginAsync(context, source!, options, cancellation);
        Adopt(OpenStore()!);
        segments = new RemoteSegments(reading, source!, place ?? RemoteLogEnd.Start(source!), options.Interval);
        Set(s => s with
        {
            Phase = FollowerPhase.CatchingUp,
            CaughtUpAt = place is null ? null : options.Store.Home.CompleteAt
        });
    }

    void Adopt(Replica opened)
    {
        lock (gate)
        {
            store = opened;
            wals = opened.OpenWals();
            hasUnsettled = hasHalfApplied = false;
            unsettledBytes = 0;
            settledAt = options.Store.Time.GetTimestamp();
            state = state with { Lsn = opened.NextLsn - 1 };
        }
        Signal();
    }

    /// <summary>Finds the place in the remote's log where the store goes on.</summary>
    async Task ConnectAsync(CancellationToken cancellation)
    {
        source = await FetchSourceAsync(cancellation);
        store!.SetSource(source.LogId, 0);
        if (await reading.PlaceOfAsync(source, store.NextLsn, cancellation) is not { } place)
            throw new BrokenPathException(new RecoveryException(RecoveryError.NotFound,
                $"LSN {store.NextLsn}, where {Directory} goes on, is not in {context.Store.Location} any more: it "
                    + "was collected. The follower needs later hints."));
        segments?.Dispose();
        segments = new RemoteSegments(reading, source, place, options.Interval);
        Set(s => s with { Phase = FollowerPhase.CatchingUp });
    }

    async Task RunAsync()
    {
        var stop = stopping.Token;
        for (var failures = 0; ;)
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
                if (!await StartOverAsync(e.Cause, TimeSpan.Zero, stop)) return;
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
                    if (e is BrokenPathException && await HasNewerHintsAsync(stop)
                        && !await StartOverAsync(error, ReadersPatience, stop))
                        return;
                    await Task.Delay(reading.Backoff.After(++failures, context.Random), context.Time, stop);
                    if (hasHalfApplied) await ReopenAsync(stop);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                catch (RecoveryException again) when (again.Error == RecoveryError.Remote)
                {
                    // The outage goes on.
                }
                catch (RecoveryException again)
                {
                    Set(s => s with { Phase = FollowerPhase.Failed, LastError = again });
                    return;
                }
            }
        }
    }

    static RecoveryException ErrorOf(Exception e) => e switch
    {
        RecoveryException known => known,
        BrokenPathException broken => broken.Cause,
        DivergedException diverged => diverged.Cause,
        _ => new RecoveryException(RecoveryError.IoRead,
            $"The follower met an unexpected error: {e.Message} Start it again; report this if it comes back.", e),
    };

    /// <summary>
    /// A remote that is not there may be back later: its directory may be a disk that is not mounted.
    /// </summary>
    bool IsFinal(Exception e, RecoveryException error) =>
        e is not BrokenPathException && error.Error is not (RecoveryError.Remote or RecoveryError.Full)
            && !(error.Error == RecoveryError.NotFound && segments is null);

    /// <summary>Reads and applies until something fails or it is stopped.</summary>
    async Task FollowAsync(Action succeeded, CancellationToken stop)
    {
        if (segments is null || segments.Position.NextLsn != store!.NextLsn) await ConnectAsync(stop);
        await segments!.ListAsync(stop);
        Set(Measure);
        while (true)
        {
            await pin.RenewAsync(state.Lsn, stop);
            RemoteSegment? segment;
            var looked = options.Store.Time.GetUtcNow();
            try
            {
                segment = await segments.TakeAsync(stop);
                if (segment is null && hasUnsettled && IsSettleDue) Settle();
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
            {
                throw new BrokenPathException(e);
            }
            succeeded();
            if (segment is not null)
            {
                using (segment) Apply(segment);
                if (IsSettleDue) Settle();
                continue;
            }
            try
            {
                if (!await segments.IsEndAsync(stop)) continue;
                if (!store!.IsWhole) store.DeclareWhole();
                Set(s => s with
                {
                    Phase = FollowerPhase.Following,
                    CaughtUpAt = looked,
                    LagBytes = 0,
                    LagRecords = 0,
                    LastError = null,
                    PinError = pin.Error
                });
                options.Store.Home.NoteCaughtUp(looked);
                await segments.WaitAsync(stop);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
            {
                throw new BrokenPathException(e);
            }
        }
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
                $"LSNs {segment.Header.FirstLsn} to {segment.Header.LastLsn} were never shipped ({segment.Name}): "
                    + "the follower needs hints published after them."));
        var groups = 0L;
        var timeMs = 0L;
        hasHalfApplied = true;
        try
        {
            using (var copied = segment.OpenRecords())
                while (copied.TryRead(out var record)) store!.Relay(record);
            store!.WriteOutRelay();
            store.Announce(segment.Header.LastLsn);
            using var records = segment.OpenRecords();
            while (records.TryRead(out var record))
            {
                if (record.Lsn < store.NextLsn) continue;
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
        hasHalfApplied = false;
        store.SetSource(source!.LogId, segment.Header.Epoch);
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
        NoteComplete();
        hasUnsettled = false;
        unsettledBytes = 0;
        settledAt = options.Store.Time.GetTimestamp();
    }

    /// <summary>So that a later start which finds no remote can tell how old what it has is.</summary>
    void NoteComplete()
    {
        if (state.CaughtUpAt is { } at) options.Store.Home.CompleteAt = at;
    }

    async Task<bool> HasNewerHintsAsync(CancellationToken cancellation) =>
        await reading.HintsUpToAsync(source!, ulong.MaxValue, cancellation) is { } hints
            && hints.Header.Start.NextLsn > store!.NextLsn;

    /// <summary>An error left the store in the middle of a group: opens it again as it was settled last.</summary>
    async Task ReopenAsync(CancellationToken stop)
    {
        await CloseUnreadAsync(TimeSpan.Zero, stop);
        Adopt(OpenStore()!);
    }

    /// <summary>
    /// Closes the store as soon as nobody reads it; after some patience, refuses new readers so that there is such a
    /// moment.
    /// </summary>
    async Task CloseUnreadAsync(TimeSpan patience, CancellationToken stop)
    {
        var began = options.Store.Time.GetTimestamp();
        while (true)
        {
            var signal = Volatile.Read(ref moved).Task;
            var left = patience - options.Store.Time.GetElapsedTime(began);
            lock (gate)
            {
                refusesReaders = left <= TimeSpan.Zero;
                if (readers == 0)
                {
                    CloseStore();
                    refusesReaders = false;
                    return;
                }
            }
            if (left <= TimeSpan.Zero) await signal.WaitAsync(stop);
            else await Task.WhenAny(signal, Task.Delay(left, options.Store.Time, stop));
            stop.ThrowIfCancellationRequested();
        }
    }

    /// <summary>
    /// Empties the directory and begins again from the newest hints, as soon as nobody reads; readers keep what they
    /// have until then. False when it was stopped or failed for good.
    /// </summary>
    async Task<bool> StartOverAsync(RecoveryException why, TimeSpan patience, CancellationToken stop)
    {
        Set(s => s with { Phase = FollowerPhase.StartingOver, LastError = why, StartedOver = s.StartedOver + 1 });
        try { await CloseUnreadAsync(patience, stop); }
        catch (OperationCanceledException) { return false; }
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
            catch (RecoveryException e) when (e.Error is RecoveryError.Remote or RecoveryError.NotFound
                or RecoveryError.Full)
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
