using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// Keeps a replica's directory up to date from a remote, and lets it be read meanwhile: each pinned version is one
/// whole commit, later ones move forward, and neither holds the other up. Every commit is verified. It goes on where it
/// stopped; when the remote does not have that part of its log any more, or the directory is damaged, it starts over
/// from hints. Thread-safe.
/// </summary>
public sealed class Follower : IFollowedStore, IAsyncDisposable
{
    // How long the end of an outage may go unnoticed.
    static readonly TimeSpan OutageLook = TimeSpan.FromSeconds(5);

    readonly FollowerOptions options;
    readonly RemoteContext context, reading;
    readonly FollowerPin pin;
    readonly CancellationTokenSource stopping = new();
    readonly FollowerMetrics metrics;
    readonly FollowerProgress progress;
    readonly SharedReplica replica;
    readonly FollowerSession session;
    Task loop = Task.CompletedTask;

    Follower(FollowerOptions options)
    {
        this.options = options = options with
        {
            Store = LazyFiles.OpenedBy(options.Store,
                new LazySource(ReadContext, IsOwner: true, options.FetchCacheBytes), stopping.Token),
        };
        context = options.NewContext(readOnly: true);
        // While it follows, the loop is patient, and says so; a single step is not.
        reading = Impatient(context);
        pin = new FollowerPin(options);
        progress = new FollowerProgress(options);
        replica = new SharedReplica(options, progress);
        session = new FollowerSession(options, context, reading, replica, progress);
        metrics = new FollowerMetrics(() => State, options.Store.Directory);
    }

    static RemoteContext Impatient(RemoteContext context)
        => context with { Tries = 3, Backoff = context.Backoff with { Longest = OutageLook } };

    RemoteContext ReadContext() => Impatient(options.NewContext(readOnly: true));

    /// <summary>The replica's directory.</summary>
    public string Directory => options.Store.Directory;

    /// <summary>The remote that is followed.</summary>
    public string Url => options.Url;

    /// <summary>The replica, while it is open.</summary>
    internal Replica? Replica => replica.Current?.Replica;

    /// <summary>What operators watch.</summary>
    public FollowerState State => progress.Seen;

    /// <summary>
    /// How much is here of what the follower began with; null when all is. See <see cref="FollowerOptions.Fetch"/>.
    /// </summary>
    public FetchedFigures? Fetched => replica.Current?.Replica.Lazy?.Fetched;

    /// <summary>
    /// Brings in all that is missing here (see <see cref="FollowerOptions.Fetch"/>); throws when the remote cannot be
    /// reached.
    /// </summary>
    public async Task FetchAllAsync(CancellationToken cancellation = default)
    {
        if (replica.Current?.Replica.Lazy is { } lazy) await lazy.FillAsync(patient: false, cancellation);
    }

    /// <summary>The moment that is shown; the newest state of one that follows on.</summary>
    internal RestoreTarget Moment => options.Moment;

    /// <summary>Whether this process follows anything.</summary>
    public static bool Any => FollowerRegistry.Any;

    /// <summary>The follower of a directory in this process, or null.</summary>
    public static Follower? Find(string directory) => FollowerRegistry.Find(directory);

    /// <summary>
    /// Starts a follower: opens the replica, or makes it from the remote's newest hints, and begins to follow. A
    /// replica serves what it has, whether the remote can be reached or not (see its phase); a new one throws when the
    /// remote does not exist or cannot be reached. Throws when the directory holds something else. One follower a
    /// directory.
    /// </summary>
    public static async Task<Follower> StartAsync(FollowerOptions options, CancellationToken cancellation = default)
    {
        var follower = new Follower(options);
        FollowerRegistry.Add(follower);
        try
        {
            await follower.session.OpenAsync(cancellation);
            if (System.IO.Directory.Exists(options.Store.Directory)) options.Store.Home.Following = options.Url;
            follower.Start();
            return follower;
        }
        catch
        {
            await follower.DisposeAsync();
            throw;
        }
    }

    void Start()
    {
        if (options.IsOfMoment)
        {
            progress.Set(s => s with { Phase = FollowerPhase.Still, LastError = null });
            loop = Task.Run(KeepAsync, CancellationToken.None);
            return;
        }
        var following = new FollowerLoop(options, context, reading, pin, replica, session, progress, stopping.Token);
        loop = Task.Run(following.RunAsync, CancellationToken.None);
    }

    /// <summary>A moment needs nothing any more but what it fetches when that is read.</summary>
    async Task KeepAsync()
    {
        try
        {
            for (var failures = 0; ;)
            {
                var lazy = replica.Opened.Replica.Lazy;
                try
                {
                    // A directory that is not mounted must not be made.
                    await session.RequireSourceAsync(stopping.Token);
                    await pin.RenewAsync(null, options.Store.Home.IsLazy ? lazy?.HintsLsn : null, stopping.Token);
                    failures = 0;
                    progress.Set(s => s with { PinError = pin.Error, LastError = lazy?.Lost });
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
            || (s.Phase == FollowerPhase.Interrupted && replica.Current is { IsWhole: true });
        using var patient = new CancellationTokenSource(patience, options.Store.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patient.Token, cancellation);
        try
        {
            await WhenAsync(IsReadable, either.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            if (progress.Now.Phase != FollowerPhase.Connecting || replica.Current is not { IsWhole: true })
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
    /// One more reader: until it is disposed, the replica stays open. Throws Busy while the follower starts over, and
    /// after a crash until it is one state of the log again.
    /// </summary>
    public FollowerReader Read() => replica.Read();

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
                $"{Directory} shows {options.Moment} of {Url}, and cannot take the remote over from there.",
                "Restore that moment (`recovery restore --lsn`), or branch there (`recovery branch`).")
            { Path = Directory };
        if (!replica.TryRefuseForGood(out var readers))
            throw new RecoveryException(RecoveryError.Busy,
                $"{readers} connections still read {Directory}.",
                "Close them before it is promoted.")
            { Path = Directory };
        try
        {
            // A writer owns all of its pages. Before the loop is stopped, which would end what is being fetched.
            await FetchAllAsync(cancellation);
            await StopAsync();
            if (progress.Now.Phase == FollowerPhase.Failed) progress.ThrowIfOver(progress.Now);
            var promotion = new FollowerPromotion(options, reading, pin, replica, session, progress);
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
        replica.RefuseForGood();
        await StopAsync();
        await replica.UnreadAsync();
        if (!FollowerRegistry.Remove(this)) return;
        if (replica.Current is not null) session.NoteComplete();
        session.Dispose();
        replica.Close();
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
