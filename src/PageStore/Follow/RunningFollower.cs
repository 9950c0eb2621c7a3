using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// A follower of whatever kind: opens its replica, or begins one, follows until it is stopped, and can be promoted.
/// Thread-safe.
/// </summary>
internal sealed class RunningFollower : IAsyncDisposable
{
    // How long the end of an outage may go unnoticed.
    static readonly TimeSpan OutageLook = TimeSpan.FromSeconds(5);

    readonly FollowerOptions options;
    readonly RemoteContext context, reading;
    readonly FollowerPin pin;
    readonly CancellationTokenSource stopping;
    readonly FollowerMetrics metrics;
    readonly FollowerProgress progress;
    readonly FollowerSession session;
    Task loop = Task.CompletedTask;
    int closed;

    /// <param name="options">How it follows.</param>
    /// <param name="kind">What the followed log is of.</param>
    /// <param name="stopping">Cancelled, and disposed of, when it stops.</param>
    public RunningFollower(FollowerOptions options, IFollowedKind kind, CancellationTokenSource stopping)
    {
        (this.options, this.stopping) = (options, stopping);
        context = options.NewContext(readOnly: true);
        // While it follows, the loop is patient, and says so; a single step is not.
        reading = Impatient(context);
        pin = new FollowerPin(options);
        progress = new FollowerProgress(options);
        Replica = new SharedReplica(options, progress);
        session = new FollowerSession(options, kind, context, reading, Replica, progress);
        metrics = new FollowerMetrics(() => State, options.Store.Directory);
    }

    /// <summary>The same remote for one step, which does not wait through an outage.</summary>
    public static RemoteContext Impatient(RemoteContext context)
        => context with { Tries = 3, Backoff = context.Backoff with { Longest = OutageLook } };

    /// <summary>The replica's directory.</summary>
    public string Directory => options.Store.Directory;

    /// <summary>The replica, and who reads it.</summary>
    public SharedReplica Replica { get; }

    /// <summary>What operators watch.</summary>
    public FollowerState State => progress.Seen;

    /// <summary>Whether it was stopped, and its replica closed.</summary>
    public bool IsClosed => Volatile.Read(ref closed) != 0;

    /// <summary>Opens or begins the replica, and starts to follow. When it throws, it is to be disposed of.</summary>
    public async Task StartAsync(CancellationToken cancellation)
    {
        await session.OpenAsync(cancellation);
        if (System.IO.Directory.Exists(options.Store.Directory)) options.Store.Home.Following = options.Url;
        if (options.IsOfMoment)
        {
            progress.Set(s => s with { Phase = FollowerPhase.Still, LastError = null });
            loop = Task.Run(KeepAsync, CancellationToken.None);
            return;
        }
        var following = new FollowerLoop(options, context, reading, pin, Replica, session, progress, stopping.Token);
        loop = Task.Run(following.RunAsync, CancellationToken.None);
    }

    /// <summary>A moment needs nothing any more but what it fetches when that is read.</summary>
    async Task KeepAsync()
    {
        try
        {
            for (var failures = 0; ;)
            {
                var moment = Replica.Opened;
                try
                {
                    // A directory that is not mounted must not be made.
                    await session.RequireSourceAsync(stopping.Token);
                    await pin.RenewAsync(null, moment.FetchesFromLsn, stopping.Token);
                    failures = 0;
                    progress.Set(s => s with { PinError = pin.Error, LastError = moment.Lost });
                }
                catch (RecoveryException e)
                {
                    failures++;
                    progress.Set(s => s with { LastError = e });
                }
                var wait = failures == 0 ? options.Interval : context.Backoff.After(failures, context.Random);
                await Task.Delay(wait, options.Store.Time, stopping.Token);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // It is closed.
        }
    }

    /// <summary>
    /// Completes when it has applied everything that was in the remote at some time after this call, and has put its
    /// pins there. Throws when it gave up.
    /// </summary>
    public Task CaughtUpAsync(CancellationToken cancellation = default)
    {
        var since = options.Store.Time.GetUtcNow();
        return WhenAsync(s => (s.CaughtUpAt >= since && s.IsPinned) || s.Phase == FollowerPhase.Still, cancellation);
    }

    /// <summary>
    /// Completes when it can be read: it has caught up as <see cref="CaughtUpAsync"/> says, or what it has must do,
    /// since the remote cannot be reached, or does not answer for <paramref name="patience"/>. Throws when it gave up.
    /// </summary>
    public async Task ReadableAsync(TimeSpan patience, CancellationToken cancellation = default)
    {
        var since = options.Store.Time.GetUtcNow();
        bool IsReadable(FollowerState s) => s.CaughtUpAt >= since || s.Phase == FollowerPhase.Still
            || (s.Phase == FollowerPhase.Interrupted && Replica.Current is { IsWhole: true });
        using var patient = new CancellationTokenSource(patience, options.Store.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patient.Token, cancellation);
        try
        {
            await WhenAsync(IsReadable, either.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            if (progress.Now.Phase != FollowerPhase.Connecting || Replica.Current is not { IsWhole: true })
                await WhenAsync(IsReadable, cancellation);
        }
    }

    /// <summary>Completes when it has applied a record, and all before it. Throws when it gave up.</summary>
    public Task WaitForAsync(ulong lsn, CancellationToken cancellation = default)
        => WhenAsync(s => s.Lsn >= lsn, cancellation);

    /// <summary>Completes when its state is as wanted. Throws when it gave up or was stopped before.</summary>
    public Task WhenAsync(Func<FollowerState, bool> reached, CancellationToken cancellation = default)
        => progress.WhenAsync(reached, cancellation);

    /// <summary>
    /// Takes the remote over: reads to the end of the log, ends the other writer's tenure there, and leaves the
    /// directory as a store that is written to (opened with this remote). Refuses while somebody reads here. When it
    /// throws, the directory is a follower's as before, and can be followed again; the follower is stopped, unless it
    /// was refused for its readers.
    /// </summary>
    public async Task<Promotion> PromoteAsync(CancellationToken cancellation = default)
    {
        if (options.IsOfMoment)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{Directory} shows {options.Moment} of {options.Url}, and cannot take the remote over from there.",
                "Restore that moment (`recovery restore --lsn`), or branch there (`recovery branch`).")
            { Path = Directory };
        if (!Replica.TryRefuseForGood(out var readers))
            throw new RecoveryException(RecoveryError.Busy,
                $"{readers} connections still read {Directory}.",
                "Close them before it is promoted.")
            { Path = Directory };
        try
        {
            // A writer owns all of its pages. Before the loop is stopped, which would end what is being fetched.
            if (Replica.Current is { } current) await current.FetchRestAsync(cancellation);
            await StopAsync();
            if (progress.Now.Phase == FollowerPhase.Failed) progress.ThrowIfOver(progress.Now);
            var promotion = new FollowerPromotion(options, reading, pin, Replica, session, progress);
            return await promotion.RunAsync(cancellation);
        }
        finally
        {
            await DisposeAsync();
        }
    }

    /// <summary>Stops following; the directory stays a follower's. Waits for readers to end.</summary>
    public async ValueTask DisposeAsync()
    {
        Replica.RefuseForGood();
        await StopAsync();
        await Replica.UnreadAsync();
        if (Interlocked.Exchange(ref closed, 1) != 0) return;
        if (Replica.Current is not null) session.NoteComplete();
        session.Dispose();
        Replica.Close();
        await context.Store.DisposeAsync();
        if (progress.Now.Phase != FollowerPhase.Failed) progress.Set(s => s with { Phase = FollowerPhase.Stopped });
        metrics.Dispose();
        stopping.Dispose();
    }

    async Task StopAsync()
    {
        try
        {
            stopping.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // Stopped before.
        }
        await loop;
    }
}
