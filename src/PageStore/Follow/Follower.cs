using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// Keeps a replica's directory up to date from a remote, and lets it be read meanwhile: each pinned version is one
/// whole commit, later ones move forward, and neither holds the other up. Every commit is verified. It goes on where it
/// stopped; when the remote does not have that part of its log any more, or the directory is damaged, it starts over
/// from hints. Thread-safe.
/// </summary>
public sealed partial class Follower : IFollowedStore, IReadHost, IAsyncDisposable
{
    static readonly Lock registryGate = new();
    static readonly Dictionary<string, Follower> registry = new(StringComparer.Ordinal);

    // How long the end of an outage may go unnoticed.
    static readonly TimeSpan OutageLook = TimeSpan.FromSeconds(5);
    // A look that takes longer than this shows as lag.
    static readonly TimeSpan LookPatience = TimeSpan.FromSeconds(2);

    static int running;

    readonly FollowerOptions options;
    readonly RemoteContext context, reading;
    readonly FollowerPin pin;
    readonly CancellationTokenSource stopping = new();
    readonly FollowerMetrics metrics;
    readonly Lock gate = new();
    StoreObject? source;
    Replica? store;
    FollowedWals? wals;
    RemoteSegments? segments;
    Task? loop;
    int readers;
    bool isClosing, refusesReaders;
    volatile FollowerState state = new();
    TaskCompletionSource moved = NewSignal();

    Follower(FollowerOptions options)
    {
        this.options = options;
        context = options.NewContext(readOnly: true);
        // While it follows, the loop is patient, and says so; a single step is not.
        reading = context with { Tries = 3, Backoff = context.Backoff with { Longest = OutageLook } };
        pin = new FollowerPin(options);
        metrics = new FollowerMetrics(() => State, options.Store.Directory);
    }

    /// <summary>The replica's directory.</summary>
    public string Directory => options.Store.Directory;

    /// <summary>The remote that is followed.</summary>
    public string Url => options.Url;

    /// <summary>The replica, while it is open.</summary>
    internal Replica? Replica => store;

    /// <summary>What operators watch.</summary>
    public FollowerState State => WithLag(state);

    /// <summary>Whether this process follows anything.</summary>
    public static bool Any => Volatile.Read(ref running) > 0;

    /// <summary>The follower of a directory in this process, or null.</summary>
    public static Follower? Find(string directory)
    {
        lock (registryGate) return registry.GetValueOrDefault(KeyOf(directory));
    }

    static string KeyOf(string directory) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));

    /// <summary>
    /// Starts a follower: opens the replica, or makes it from the remote's newest hints, and begins to follow. A
    /// replica serves what it has, whether the remote can be reached or not (see its phase); a new one throws when the
    /// remote does not exist or cannot be reached. Throws when the directory holds something else. One follower a
    /// directory.
    /// </summary>
    public static async Task<Follower> StartAsync(FollowerOptions options, CancellationToken cancellation = default)
    {
        var follower = new Follower(options);
        lock (registryGate)
        {
            if (!registry.TryAdd(KeyOf(options.Store.Directory), follower))
                throw new RecoveryException(RecoveryError.Busy,
                    $"{options.Store.Directory} is followed in this process already. Use that follower.");
            running = registry.Count;
        }
        try
        {
            await follower.OpenAsync(cancellation);
            if (System.IO.Directory.Exists(options.Store.Directory)) options.Store.Home.Following = options.Url;
            follower.loop = Task.Run(follower.RunAsync, CancellationToken.None);
            return follower;
        }
        catch
        {
            await follower.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Completes when it has applied everything that was in the remote at some time after this call. Throws when it
    /// gave up.
    /// </summary>
    public Task CaughtUpAsync(CancellationToken cancellation = default)
    {
        var since = options.Store.Time.GetUtcNow();
        return WhenAsync(s => s.CaughtUpAt >= since, cancellation);
    }

    /// <summary>
    /// Completes when it can be read: it has caught up as <see cref="CaughtUpAsync"/> says, or what it has must do,
    /// since the remote cannot be reached, or does not answer for <paramref name="patience"/>. Throws when it gave up.
    /// </summary>
    public async Task ReadableAsync(TimeSpan patience, CancellationToken cancellation = default)
    {
        var since = options.Store.Time.GetUtcNow();
        bool IsReadable(FollowerState s) => s.CaughtUpAt >= since || s.Phase == FollowerPhase.Interrupted
            && store is { IsWhole: true };
        using var patient = new CancellationTokenSource(patience, options.Store.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patient.Token, cancellation);
        try
        {
            await WhenAsync(IsReadable, either.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            if (state.Phase != FollowerPhase.Connecting || store is not { IsWhole: true })
                await WhenAsync(IsReadable, cancellation);
        }
    }

    /// <summary>Completes when it has applied a record, and all before it. Throws when it gave up.</summary>
    public Task WaitForAsync(ulong lsn, CancellationToken cancellation = default)
        => WhenAsync(s => s.Lsn >= lsn, cancellation);

    /// <summary>Completes when its state is as wanted. Throws when it gave up or was stopped before.</summary>
    public async Task WhenAsync(Func<FollowerState, bool> reached, CancellationToken cancellation = default)
    {
        while (true)
        {
            var signal = Volatile.Read(ref moved).Task;
            var now = state;
            if (reached(now)) return;
            ThrowIfOver(now);
            await signal.WaitAsync(cancellation);
        }
    }

    void ThrowIfOver(FollowerState now)
    {
        if (now.Phase == FollowerPhase.Failed)
            throw new RecoveryException(now.LastError!.Error,
                $"The follower {Directory} gave up: {now.LastError.Message}", now.LastError);
        if (now.Phase == FollowerPhase.Stopped)
            throw new RecoveryException(RecoveryError.Busy, $"The follower {Directory} was stopped. Start it again.");
    }

    /// <summary>
    /// One more reader: until it is disposed, the replica stays open. Throws Busy while the follower starts over, and
    /// after a crash until it is one state of the log again.
    /// </summary>
    public FollowerReader Read()
    {
        lock (gate)
        {
            if (store is { IsWhole: false })
                throw new RecoveryException(RecoveryError.Busy,
                    $"The follower {Directory} was stopped in the middle of something, and is whole again when it "
                        + $"has read on in {Url}{(state.LastError is { } why ? ": " + why.Message : "")}. Try again "
                        + "in a while.");
            if (store is null || isClosing || refusesReaders)
                throw new RecoveryException(RecoveryError.Busy,
                    state.Phase is FollowerPhase.Stopped or FollowerPhase.Failed
                    ? $"The follower {Directory} was stopped{(state.LastError is { } e ? ": " + e.Message : "")}. "
                        + "Start it again."
                    : $"The follower {Directory} starts over from the remote's hints. Try again in a while.");
            readers++;
            return new FollowerReader(this, store.Replayed, wals!);
        }
    }

    void IReadHost.EndRead()
    {
        lock (gate)
            if (--readers > 0 || !isClosing && state.Phase
                is not (FollowerPhase.StartingOver or FollowerPhase.Interrupted))
                return;
        Signal();
    }

    /// <summary>
    /// Takes the remote over: reads to the end of the log, ends the other writer's tenure there, and leaves the
    /// directory as a store that is written to (opened with this remote). Refuses while somebody reads here. When it
    /// throws, the directory is a follower's as before, and can be followed again; the follower is stopped, unless it
    /// was refused for its readers.
    /// </summary>
    public async Task<Promotion> PromoteAsync(CancellationToken cancellation = default)
    {
        lock (gate)
        {
            if (readers > 0)
                throw new RecoveryException(RecoveryError.Busy,
                    $"{readers} connections still read {Directory}. Close them before it is promoted.");
            isClosing = true;
        }
        await StopAsync();
        try
        {
            if (state.Phase == FollowerPhase.Failed) ThrowIfOver(state);
            return await TakeOverAsync(cancellation);
        }
        finally
        {
            await DisposeAsync();
        }
    }

    async Task<Promotion> TakeOverAsync(CancellationToken cancellation)
    {
        var author = options.Store.Home.AuthorOrNew();
        DateTimeOffset? lastTime = null;
        try
        {
            if (store is null)
                throw new RecoveryException(RecoveryError.Busy,
                    "It was starting over from the remote's hints. Start it again, let it catch up, and promote it "
                        + "then.");
            // Afresh: what the stopped loop had asked for was cancelled with it.
            await ConnectAsync(cancellation);
            await segments!.ListAsync(cancellation);
            await using var writable = options.Open?.Invoke() ?? RemoteUrl.Parse(Url).Open(time: options.Store.Time);
            var (before, ours) =
                await RemotePromotion.RunAsync(reading, reading with { Store = writable }, source!, segments, author,
                segment =>
            {
                if (segment.Header.Author != author)
                    lastTime = DateTimeOffset.FromUnixTimeMilliseconds(segment.Header.LastTimeMs);
                Apply(segment);
            }, cancellation);
            store!.DeclareWhole();
            wals!.Dispose();
            // Whoever opens the store now goes on writing to this remote, and never begins another.
            options.Store.Home.AddRemote(Url);
            store.CloseAsStore();
            store = null;
            await pin.RemoveAsync();
            return new Promotion(before.LastLsn, ours.Epoch, before.Author, lastTime ?? state.LsnTime);
        }
        catch (Exception e) when (e is RecoveryException or BrokenPathException or DivergedException)
        {
            var cause = ErrorOf(e);
            throw new RecoveryException(cause.Error,
                $"{Directory} was not promoted: nobody could tell whether it has everything. "
                    + $"{cause.Message.TrimEnd('.')}. {LastKnown()}", cause);
        }
    }

    string LastKnown()
    {
        var lsn = Math.Max(state.Lsn, segments?.ListedLsn ?? 0);
        var time = state.LsnTime is { } at && lsn == state.Lsn ? $", of {at:yyyy-MM-dd HH:mm:ss.fff'Z'}" : "";
        var complete = state.CaughtUpAt is { } seen
            ? $"; that was all there was at {seen.UtcDateTime:yyyy-MM-dd HH:mm:ss'Z'}"
            : "";
        return $"It stands at LSN {state.Lsn}; the old writer was last known to have LSN "
            + $"{lsn}{time}{(lsn == state.Lsn ? complete : "")}.";
    }

    /// <summary>Stops following; the directory stays a follower's. Waits for readers to end.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate) isClosing = true;
        await StopAsync();
        while (true)
        {
            var signal = Volatile.Read(ref moved).Task;
            lock (gate) if (readers == 0) break;
            await signal;
        }
        lock (registryGate)
        {
            if (!registry.TryGetValue(KeyOf(Directory), out var same) || !ReferenceEquals(same, this)) return;
            registry.Remove(KeyOf(Directory));
            running = registry.Count;
        }
        if (store is not null) NoteComplete();
        CloseStore();
        await context.Store.DisposeAsync();
        if (state.Phase != FollowerPhase.Failed) Set(s => s with { Phase = FollowerPhase.Stopped });
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
        if (loop is not null) await loop;
    }

    void CloseStore()
    {
        segments?.Dispose();
        segments = null;
        wals?.Dispose();
        wals = null;
        store?.Dispose();
        store = null;
    }

    void Set(Func<FollowerState, FollowerState> change)
    {
        lock (gate) state = change(state);
        Signal();
    }

    void Signal() => Interlocked.Exchange(ref moved, NewSignal()).TrySetResult();

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// The lag is now minus the later of two times: when it had last caught up, and that of its newest record.
    /// </summary>
    FollowerState WithLag(FollowerState now)
    {
        var clock = options.Store.Time.GetUtcNow();
        if (now.Phase == FollowerPhase.Following && clock - now.CaughtUpAt <= options.Interval * 2 + LookPatience)
            return now;
        var asOf = now.LsnTime is { } at && !(now.CaughtUpAt > at) ? at : now.CaughtUpAt;
        return asOf is { } since && clock > since ? now with { Lag = clock - since } : now;
    }
}
