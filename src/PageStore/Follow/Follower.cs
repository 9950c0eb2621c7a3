using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore;

/// <summary>
/// Keeps a replica's directory up to date from a remote, and lets it be read meanwhile: each pinned version is one whole commit, later ones move
/// forward, and neither holds the other up. Every commit is verified. It goes on where it stopped; when the remote does not have that part
/// of its log any more, or the directory is damaged, it starts over from hints. Thread-safe.
/// </summary>
public sealed partial class Follower : IFollowedStore, IReadHost, IAsyncDisposable
{
    static readonly Lock registryGate = new();
    static readonly Dictionary<string, Follower> registry = new(StringComparer.Ordinal);

    static int running;

    readonly FollowerOptions options;
    readonly RemoteContext context;
    readonly FollowerPin pin;
    readonly CancellationTokenSource stopping = new();
    readonly Lock gate = new();
    StoreObject source = null!;
    Store? store;
    FollowedWals? wals;
    RemoteSegments? segments;
    Task? loop;
    int readers;
    bool isClosing;
    volatile FollowerState state = new();
    TaskCompletionSource moved = NewSignal();

    Follower(FollowerOptions options)
    {
        this.options = options;
        context = options.NewContext(readOnly: true);
        pin = new FollowerPin(options);
    }

    /// <summary>The replica's directory.</summary>
    public string Directory => options.Store.Directory;

    /// <summary>The remote that is followed.</summary>
    public string Url => options.Url;

    /// <summary>The replica, while it is open.</summary>
    internal Store? Replica => store;

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
    /// Starts a follower: opens the replica, or makes it from the remote's newest hints, and begins to follow. Throws when the remote does not exist or
    /// cannot be reached, or when the directory holds something else. One follower a directory.
    /// </summary>
    public static async Task<Follower> StartAsync(FollowerOptions options, CancellationToken cancellation = default)
    {
        var follower = new Follower(options);
        lock (registryGate)
        {
            if (!registry.TryAdd(KeyOf(options.Store.Directory), follower))
                throw new RecoveryException(RecoveryError.Busy, $"{options.Store.Directory} is followed in this process already. Use that follower.");
            running = registry.Count;
        }
        try
        {
            await follower.OpenAsync(cancellation);
            follower.loop = Task.Run(follower.RunAsync, CancellationToken.None);
            return follower;
        }
        catch
        {
            await follower.DisposeAsync();
            throw;
        }
    }

    /// <summary>Completes when it has applied everything that was in the remote at some time after this call. Throws when it gave up.</summary>
    public Task CaughtUpAsync(CancellationToken cancellation = default)
    {
        var since = options.Store.Time.GetUtcNow();
        return WhenAsync(s => s.CaughtUpAt >= since, cancellation);
    }

    /// <summary>Completes when it has applied a record, and all before it. Throws when it gave up.</summary>
    public Task WaitForAsync(ulong lsn, CancellationToken cancellation = default) => WhenAsync(s => s.Lsn >= lsn, cancellation);

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
            throw new RecoveryException(now.LastError!.Error, $"The follower {Directory} gave up: {now.LastError.Message}", now.LastError);
        if (now.Phase == FollowerPhase.Stopped)
            throw new RecoveryException(RecoveryError.Busy, $"The follower {Directory} was stopped. Start it again.");
    }

    /// <summary>
    /// One more reader: until it is disposed, the replica stays open. Throws Busy while the follower starts over.
    /// </summary>
    public FollowerReader Read()
    {
        lock (gate)
        {
            if (store is null || isClosing)
                throw new RecoveryException(RecoveryError.Busy, state.Phase is FollowerPhase.Stopped or FollowerPhase.Failed
                    ? $"The follower {Directory} was stopped{(state.LastError is { } e ? ": " + e.Message : "")}. Start it again."
                    : $"The follower {Directory} starts over from the remote's hints. Try again in a while.");
            readers++;
            return new FollowerReader(this, store, wals!);
        }
    }

    void IReadHost.EndRead()
    {
        lock (gate)
            if (--readers > 0 || !isClosing && state.Phase != FollowerPhase.StartingOver) return;
        Signal();
    }

    /// <summary>
    /// Takes the remote over: reads to the end of the log, ends the other writer's tenure there, and leaves the directory as a store that is
    /// written to (opened with this remote). Refuses while somebody reads here. When it throws, the directory is a follower's as before,
    /// and can be followed again; the follower is stopped, unless it was refused for its readers.
    /// </summary>
    public async Task<Promotion> PromoteAsync(CancellationToken cancellation = default)
    {
        lock (gate)
        {
            if (readers > 0)
                throw new RecoveryException(RecoveryError.Busy, $"{readers} connections still read {Directory}. Close them before it is promoted.");
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
        var author = new RemoteMark(Directory).AuthorOrNew();
        await using var writable = (options.Open?.Invoke() ?? RemoteUrl.Parse(Url).Open(time: options.Store.Time));
        while (true)
        {
            while (await segments!.TryNextAsync(cancellation) is { } segment)
                using (segment) Apply(segment);
            var end = segments.Position;
            var lastTime = state.LsnTime;
            if (await RemoteTenure.TakeOverAsync(context with { Store = writable }, source, end, author, cancellation) is not { } ours) continue;
            // Our own record, as everybody else will read it.
            using (var epoch = await segments.TakeAsync(cancellation)) if (epoch is not null) Apply(epoch);
            if (store!.NextLsn != ours.NextLsn || segments.Position != ours)
                throw new RecoveryException(RecoveryError.Remote,
                    $"{context.Store.Location} was taken over at LSN {ours.LastLsn}, but does not show it. Check the object store, then promote again.");
            wals!.Dispose();
            // Whoever opens the store now goes on writing to this remote, and never begins another.
            new RemoteMark(Directory).Add(Url);
            store.CloseAsStore();
            store = null;
            await pin.RemoveAsync();
            return new Promotion(end.LastLsn, ours.Epoch, end.Author, lastTime);
        }
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
        CloseStore();
        await context.Store.DisposeAsync();
        if (state.Phase != FollowerPhase.Failed) Set(s => s with { Phase = FollowerPhase.Stopped });
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

    FollowerState WithLag(FollowerState now)
    {
        if (now.Phase == FollowerPhase.Following || now.LsnTime is not { } at) return now;
        var lag = options.Store.Time.GetUtcNow() - at;
        return now with { Lag = lag > TimeSpan.Zero ? lag : TimeSpan.Zero };
    }
}
