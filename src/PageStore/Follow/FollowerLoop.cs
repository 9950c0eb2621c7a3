using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>Follows for as long as it is not stopped, and knows what to do when a step fails.</summary>
internal sealed class FollowerLoop(FollowerOptions options, RemoteContext context, RemoteContext reading,
    FollowerPin pin, SharedReplica replica, FollowerSession session, FollowerProgress progress, CancellationToken stop)
{
    // Readers that were there when the follower must close its store may end for so long before new ones are refused.
    static readonly TimeSpan ReadersPatience = TimeSpan.FromSeconds(30);

    ulong divergedLsn;
    int failures;
    Task pinning = Task.CompletedTask;

    /// <summary>Ends when it is stopped or has failed for good; the state says so.</summary>
    public async Task RunAsync()
    {
        try { await GoOnAsync(); }
        finally { await pinning.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); }
    }

    async Task GoOnAsync()
    {
        while (true)
        {
            try
            {
                await FollowAsync();
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                if (!await RecoverAsync(e)) return;
            }
        }
    }

    /// <summary>Reads and applies until something fails or it is stopped.</summary>
    async Task FollowAsync()
    {
        if (!session.IsConnected || session.Segments.Position.NextLsn != replica.Opened.NextLsn)
            await session.ConnectAsync(stop);
        await session.ListAsync(stop);
        progress.Set(session.Measure);
        while (true)
        {
            await pinning;
            pinning = PinAsync(progress.Now.Lsn, replica.Opened.FetchesFromLsn);
            // Whoever opened it lazily waits for no pin, but nothing that came later is applied without.
            if (!replica.Opened.IsLazy) await pinning;
            if (replica.Opened.Lost is { } lost) throw new BrokenPathException(lost);
            var looked = options.Store.Time.GetUtcNow();
            var (segment, isAllSeen) = await NextAsync();
            failures = 0;
            if (segment is null)
            {
                await AtEndAsync(isAllSeen ? looked : null);
                continue;
            }
            using (segment) session.Apply(segment);
            if (replica.Opened.IsSettleDue) await session.SettleAsync(stop);
        }
    }

    async Task PinAsync(ulong lsn, ulong? hintsLsn)
    {
        await pin.RenewAsync(lsn, hintsLsn, stop);
        if (!progress.Now.IsPinned) progress.Set(s => s with { IsPinned = true, PinError = pin.Error });
    }

    /// <summary>The next segment; where there is none, whether readers see everything that can be seen.</summary>
    async Task<(RemoteSegment? Segment, bool IsAllSeen)> NextAsync()
    {
        try
        {
            return await session.Segments.TakeAsync(stop) is { } segment
                ? (segment, false)
                : (null, await session.SettleAtEndAsync(stop));
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
        {
            throw new BrokenPathException(e);
        }
    }

    /// <summary>Nothing was there when it looked: if that is the log's end, waits for more.</summary>
    async Task AtEndAsync(DateTimeOffset? looked)
    {
        try
        {
            if (!await session.Segments.IsEndAsync(stop)) return;
            replica.Opened.DeclareWhole();
            progress.Set(s => s with
            {
                Phase = FollowerPhase.Following,
                CaughtUpAt = looked ?? s.CaughtUpAt,
                LagBytes = 0,
                LagRecords = 0,
                LastError = null,
                PinError = pin.Error
            });
            if (looked is { } at) options.Store.Home.NoteCaughtUp(at);
            await session.Segments.WaitAsync(stop);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            throw new BrokenPathException(e);
        }
    }

    /// <summary>After a step failed: waits, opens again or starts over; false when there is no going on.</summary>
    async Task<bool> RecoverAsync(Exception e)
    {
        // Twice at the same place is not damage here, but there, or a defect.
        if (e is DivergedException diverged && divergedLsn != progress.Now.Lsn)
        {
            divergedLsn = progress.Now.Lsn;
            return await StartOverAsync(diverged.Cause, TimeSpan.Zero);
        }
        var error = ErrorOf(e);
        if (IsFinal(e, error)) return GiveUp(error);
        progress.Set(s => s with { Phase = FollowerPhase.Interrupted, LastError = error });
        try
        {
            if (e is BrokenPathException && await session.HasNewerHintsAsync(stop)
                && !await StartOverAsync(error, ReadersPatience))
                return false;
            await Task.Delay(reading.Backoff.After(++failures, context.Random), context.Time, stop);
            if (replica.Opened.IsHalfApplied) await ReopenAsync();
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (RecoveryException again) when (again.Error == RecoveryError.Remote)
        {
            // The outage goes on.
            return true;
        }
        catch (RecoveryException again)
        {
            return GiveUp(again);
        }
    }

    bool GiveUp(RecoveryException why)
    {
        progress.Set(s => s with { Phase = FollowerPhase.Failed, LastError = why });
        return false;
    }

    /// <summary>The error that a step ended with, as users see it.</summary>
    public static RecoveryException ErrorOf(Exception e) => e switch
    {
        RecoveryException known => known,
        BrokenPathException broken => broken.Cause,
        DivergedException diverged => diverged.Cause,
        _ => new RecoveryException(RecoveryError.IoRead,
            $"The follower met an unexpected error: {e.Message}",
            "Start it again; report this if it comes back.",
            e),
    };

    /// <summary>
    /// A remote that is not there may be back later: its directory may be a disk that is not mounted.
    /// </summary>
    bool IsFinal(Exception e, RecoveryException error) =>
        e is not BrokenPathException
            && error.Error is not (RecoveryError.Remote or RecoveryError.Full)
            && !(error.Error == RecoveryError.NotFound && !session.IsConnected);

    /// <summary>An error left the store in the middle of a group: opens it again as it was settled last.</summary>
    async Task ReopenAsync()
    {
        await CloseUnreadAsync(TimeSpan.Zero);
        session.Reopen();
    }

    async Task CloseUnreadAsync(TimeSpan patience)
    {
        await replica.CloseUnreadAsync(patience, stop);
        session.Dispose();
    }

    /// <summary>
    /// Empties the directory and begins again from the newest hints, as soon as nobody reads; readers keep what they
    /// have until then. False when it was stopped or failed for good.
    /// </summary>
    async Task<bool> StartOverAsync(RecoveryException why, TimeSpan patience)
    {
        progress.Set(s => s with
        {
            Phase = FollowerPhase.StartingOver,
            LastError = why,
            StartedOver = s.StartedOver + 1
        });
        try { await CloseUnreadAsync(patience); }
        catch (OperationCanceledException) { return false; }
        for (var failures = 1; ; failures++)
        {
            try
            {
                await session.BeginAsync(stop);
                return true;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return false;
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Remote or RecoveryError.NotFound
                or RecoveryError.Full)
            {
                progress.Set(s => s with { LastError = e });
            }
            catch (Exception e)
            {
                return GiveUp(ErrorOf(e));
            }
            try { await Task.Delay(context.Backoff.After(failures, context.Random), context.Time, stop); }
            catch (OperationCanceledException) { return false; }
        }
    }
}
