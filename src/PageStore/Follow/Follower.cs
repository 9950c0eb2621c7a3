using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
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
    readonly FollowerOptions options;

    Follower(FollowerOptions options)
    {
        var stopping = new CancellationTokenSource();
        this.options = options = options with
        {
            Store = LazyFiles.OpenedBy(options.Store, new LazySource(() => RunningFollower.Impatient(
                options.NewContext(readOnly: true)), IsOwner: true, options.FetchCacheBytes), stopping.Token),
        };
        Running = new RunningFollower(options, FollowedStores.Instance, stopping);
    }

    /// <summary>What follows.</summary>
    internal RunningFollower Running { get; }

    /// <summary>The replica's directory.</summary>
    public string Directory => options.Store.Directory;

    /// <summary>The remote that is followed.</summary>
    public string Url => options.Url;

    /// <summary>The replica, while it is open.</summary>
    internal Replica? Replica => Databases?.Replica;

    FollowedReplica? Databases => (FollowedReplica?)Running.Replica.Current;

    /// <summary>What operators watch.</summary>
    public FollowerState State => Running.State;

    /// <summary>
    /// How much is here of what the follower began with; null when all is. See <see cref="FollowerOptions.Fetch"/>.
    /// </summary>
    public FetchedFigures? Fetched => Replica?.Lazy?.Fetched;

    /// <summary>
    /// Brings in all that is missing here (see <see cref="FollowerOptions.Fetch"/>); throws when the remote cannot be
    /// reached.
    /// </summary>
    public Task FetchAllAsync(CancellationToken cancellation = default) =>
        Databases?.FetchRestAsync(cancellation) ?? Task.CompletedTask;

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
            await follower.Running.StartAsync(cancellation);
            return follower;
        }
        catch
        {
            await follower.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc cref="RunningFollower.CaughtUpAsync"/>
    public Task CaughtUpAsync(CancellationToken cancellation = default) => Running.CaughtUpAsync(cancellation);

    /// <inheritdoc cref="RunningFollower.ReadableAsync"/>
    public Task ReadableAsync(TimeSpan patience, CancellationToken cancellation = default) =>
        Running.ReadableAsync(patience, cancellation);

    /// <inheritdoc cref="RunningFollower.WaitForAsync"/>
    public Task WaitForAsync(ulong lsn, CancellationToken cancellation = default) =>
        Running.WaitForAsync(lsn, cancellation);

    /// <inheritdoc cref="RunningFollower.WhenAsync"/>
    public Task WhenAsync(Func<FollowerState, bool> reached, CancellationToken cancellation = default) =>
        Running.WhenAsync(reached, cancellation);

    /// <summary>
    /// One more reader: until it is disposed, the replica stays open. Throws Busy while the follower starts over, and
    /// after a crash until it is one state of the log again.
    /// </summary>
    public FollowerReader Read() => ((FollowedReplica)Running.Replica.BeginRead()).ReaderOf(Running.Replica);

    /// <inheritdoc cref="RunningFollower.PromoteAsync"/>
    public async Task<Promotion> PromoteAsync(CancellationToken cancellation = default)
    {
        try
        {
            return await Running.PromoteAsync(cancellation);
        }
        finally
        {
            if (Running.IsClosed) FollowerRegistry.Remove(this);
        }
    }

    /// <inheritdoc cref="RunningFollower.DisposeAsync"/>
    public async ValueTask DisposeAsync()
    {
        await Running.DisposeAsync();
        FollowerRegistry.Remove(this);
    }
}
