using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.FollowedDirectories;

/// <summary>
/// Keeps a RocksDB's directory up to date from the remote of the RocksDB that is recorded elsewhere. Thread-safe.
/// </summary>
internal sealed class DirectoryFollower : IAsyncDisposable
{
    DirectoryFollower(FollowerOptions options) =>
        Running = new RunningFollower(options, Kind.Instance, new CancellationTokenSource());

    /// <summary>What follows.</summary>
    public RunningFollower Running { get; }

    /// <summary>RocksDB's directory of a store's.</summary>
    public static string DirectoryOf(StoreHome home) => Path.GetDirectoryName(home.Path)!;

    /// <summary>
    /// Starts one; see <see cref="Follower.StartAsync"/>. The options' store is <c>.recovery</c> in the directory.
    /// </summary>
    public static async Task<DirectoryFollower> StartAsync(FollowerOptions options,
        CancellationToken cancellation = default)
    {
        var follower = new DirectoryFollower(options);
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

    /// <summary>
    /// Calls <paramref name="open"/> with the LSN that the files are at, and changes none of them meanwhile. Until
    /// <paramref name="ended"/> is called, the follower is neither promoted nor closed.
    /// </summary>
    public T Read<T>(Func<ulong, T> open, out Action ended)
    {
        var directory = (FollowedDirectory)Running.Replica.BeginRead();
        IReadHost host = Running.Replica;
        try
        {
            var opened = directory.ReadAt(open);
            ended = host.EndRead;
            return opened;
        }
        catch
        {
            host.EndRead();
            throw;
        }
    }

    public ValueTask DisposeAsync() => Running.DisposeAsync();

    /// <summary>Logs of RocksDBs.</summary>
    sealed class Kind : IFollowedKind
    {
        public static Kind Instance { get; } = new();

        public void ThrowUnlessOfThisKind(StoreObject store, string location)
        {
            if (store.Holds == StoreObject.RocksDb) return;
            throw new RecoveryException(RecoveryError.Invalid,
                $"{location} holds SQLite databases, not the files of a RocksDB.",
                "`recovery-tail URL --into DIR` follows either.")
            { Path = location };
        }

        public void ThrowUnlessFollower(FollowerOptions options)
        {
            var home = options.Store.Home;
            if (home.IsReplica && !home.IsOfRocksDb)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{home.Path} follows a store of SQLite databases.", "Give the follower an empty directory.")
                { Path = home.Path };
            home.ThrowUnlessFollower();
            var directory = DirectoryOf(home);
            if (home.IsReplica || home.IsStartingOver || !Directory.Exists(directory)) return;
            if (Directory.EnumerateFileSystemEntries(directory).Any(e => Path.GetFileName(e) != StoreHome.Name))
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{directory} is not empty, and no follower's.", "Give the follower an empty directory.")
                { Path = directory };
        }

        public IFollowedReplica? TryOpen(FollowerOptions options, RemoteContext reading, Guid? sourceLogId,
            DiskReserve room)
        {
            var hints = LocalHints.LoadNewest(options.Store.Disk, options.Store.Directory);
            if (hints is null && sourceLogId is null) return null;
            return FollowedDirectory.Open(options, reading, hints ?? Hints.Nothing(sourceLogId!.Value, 1), room);
        }

        public async Task<FollowerBeginning> BeginAsync(RemoteContext context, StoreObject store,
            FollowerOptions options, DiskReserve room, Task<ulong?>? newest, CancellationToken cancellation)
        {
            var home = options.Store.Home;
            home.Create();
            using var held = StoreLock.Take(home.Path);
            using var heldRocksDb = RocksDbLock.Take(DirectoryOf(home));
            home.BeginOver();
            var state = await FillAsync(context, store, options, cancellation);
            home.BeginReplica();
            if (state is null)
            {
                home.EndOver();
                return default;
            }
            LocalHints.Publish(options.Store.Disk, home.Path, state);
            home.CompleteAt = DateTimeOffset.FromUnixTimeMilliseconds(state.UnixTimeMs);
            home.EndOver();
            var place = await context.PlaceOfAsync(store, state.Lsn + 1, cancellation)
                ?? throw new RecoveryException(RecoveryError.NotFound,
                    $"LSN {state.Lsn + 1} is not in {context.Store.Location} any more: it was collected.",
                    "Start the follower again.")
                { Path = context.Store.Location, Lsn = state.Lsn + 1 };
            return new FollowerBeginning(place, null, state.Lsn);
        }

        /// <summary>The newest state; null when the whole log is to be applied.</summary>
        static async Task<Hints?> FillAsync(RemoteContext context, StoreObject store, FollowerOptions options,
            CancellationToken cancellation)
        {
            var home = options.Store.Home;
            while (true)
            {
                home.Empty();
                RocksDbFiles.Remove(options.Store.Disk, DirectoryOf(home), static _ => true);
                home.BeginRocksDb();
                var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.Newest, cancellation: cancellation);
                if (plan.IsFromBeginning) return null;
                try
                {
                    var state = await DirectoryRestore.FilesAsync(plan, DirectoryOf(home), options.Parallelism, null,
                        cancellation, home.Fetching);
                    return state.All;
                }
                catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.NotFound)
                {
                    // Hints that were replaced while we fetched may have been collected.
                    if (await context.HintsUpToAsync(store, ulong.MaxValue, cancellation) is not { } newest
                        || newest.Header.Lsn <= plan.Hints.Header.Lsn)
                        throw;
                }
            }
        }
    }
}
