using System.Collections.Concurrent;
using RecoveryVfs.Handles;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Followed;

/// <summary>
/// A database that is only read here, and has handles in this process: of a follower, or of a store that another
/// process writes.
/// </summary>
internal sealed class FollowedDatabase(byte[] path, string name, IFollowedStore source, Action release)
{
    public byte[] Path { get; } = path;

    public string Name { get; } = name;

    public IFollowedStore Source { get; } = source;

    /// <summary>Gives its use of the source back.</summary>
    public void Release() => release();
}

/// <summary>
/// Opens databases of followers (those that <c>follow=URL</c> asks for, and those whose directory this process follows
/// anyway), and with
/// <c>mode=ro</c> databases of stores that this process does not have open: beside whoever writes them.
/// </summary>
internal static class FollowedDatabases
{
    // What a connection waits for the remote's newest state when it starts the follower.
    static readonly TimeSpan CatchUpPatience = TimeSpan.FromMinutes(5);
    // A remote that does not answer for so long is taken to be away: the connection reads what the follower had.
    static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(5);

    static readonly SharedSources followers = new(), views = new();
    static readonly ConcurrentDictionary<byte[], int> byPath = new(PathKeys.Comparer);
    static readonly ConcurrentDictionary<byte[],
        int>.AlternateLookup<ReadOnlySpan<byte>> byPathBytes = byPath.GetAlternateLookup<ReadOnlySpan<byte>>();

    /// <summary>
    /// Whether a path is that of a followed database with handles. Takes no lock and allocates nothing.
    /// </summary>
    public static bool IsOpen(ReadOnlySpan<byte> path) => !byPath.IsEmpty && byPathBytes.ContainsKey(path);

    /// <summary>Opens a database of a follower; null when no follower has to do with it.</summary>
    public static FollowedFile? TryOpen(ReadOnlySpan<byte> pathBytes, ref int flags, OpenParameters parameters)
    {
        var options = Options.Process.With(parameters.Values);
        if (options is { Follow: null } and not { Lsn: null, Timestamp: null })
            throw new RecoveryException(RecoveryError.Invalid,
                "lsn= and timestamp= say which moment of a remote is shown, and there is none.",
                "Name it: follow=URL, with mode=ro.");
        if (options.Follow is null && !Follower.Any) return null;
        if (Options.Process.Follow is { } own && own != options.Follow)
            throw new RecoveryException(RecoveryError.Invalid,
                $"This program follows {own}; the URI says follow={options.Follow}, and does not change that.",
                "Leave follow= out.");
        var path = DatabasePath.Of(pathBytes);
        var directory = options.Store is { } store ? Path.GetFullPath(store) : StoreHome.Beside(path);
        var shared = options.Follow is null
            ? null
            : followers.Acquire(directory, running => EnsureFollowing((Follower?)running, directory, options));
        IFollowedStore? follower = shared is null ? Follower.Find(directory) : shared.Source;
        if (follower is null) return null;
        var name = Path.GetFileName(path);
        var release = shared is null ? static () => { } : (Action)(() => followers.Release(shared));
        return Open(pathBytes, name, follower, release, ref flags, parameters,
            (found, reader) => found is not null ? null : new RecoveryException(RecoveryError.CannotOpen,
            $"The followed store {directory} has no database {name}. It has: {string.Join(", ", reader.Databases)}.")
            { Path = directory });
    }

    /// <summary>
    /// Opens a database read-only from its store's files, whoever writes them; null when this process has the store
    /// open, or there is none.
    /// <paramref name="whyReadOnly"/>: what kept it from being opened for writing, which was asked for.
    /// </summary>
    public static FollowedFile? TryView(ReadOnlySpan<byte> pathBytes, ref int flags, OpenParameters parameters,
        string? whyReadOnly = null)
    {
        var path = DatabasePath.Of(pathBytes);
        var stub = Stub.Read(path);
        if (stub.Content is PathContent.PlainDatabase or PathContent.Foreign) return null;
        var directory = DatabaseOpening.StoreOf(path, stub, Options.Process.With(parameters.Values));
        if (!Directory.Exists(directory) || StoreRegistry.IsOpen(directory)) return null;
        var shared = AcquireView(directory, StoreSettings.OfReader(directory, parameters));
        var name = stub.Database ?? Path.GetFileName(path);
        if (whyReadOnly is not null)
        {
            // Of a file that was opened so, SQLite refuses writes by itself.
            Failures.Foretell(whyReadOnly);
            EventLog.Write(EventLevel.Warning, "READONLY", whyReadOnly);
        }
        return Open(pathBytes, name, shared.Source!, () => views.Release(shared), ref flags, parameters, (found, _) =>
            found is null && stub.Content == PathContent.Stub ? DatabaseOpening.Lost(path, name, directory)
            : stub.Content == PathContent.Missing
            && (found is null or { SizeBytes: 0 } || PlacedStubs.Has(directory, found.DatabaseId, path))
            ? DatabaseOpening.Missing(path)
            : null);
    }

    /// <summary>
    /// Answers from a store that this process does not have open, whoever writes it; null when it has.
    /// </summary>
    public static T? View<T>(string directory, RecoveryOptions options, Func<FollowerReader, T> action) where T : class
    {
        if (StoreRegistry.IsOpen(directory)) return null;
        var shared = AcquireView(directory, options);
        try
        {
            using var reader = shared.Source!.Read();
            return action(reader);
        }
        finally
        {
            views.Release(shared);
        }
    }

    static SharedSource AcquireView(string directory, RecoveryOptions options) => views.Acquire(directory,
        view => view ?? StoreView.Open(
            (StoreRegistry.Simulated?.Invoke(directory, options)
            ?? options.ToStoreOptions(directory)) with
            { Remote = null }));

    static FollowedFile Open(ReadOnlySpan<byte> pathBytes, string name, IFollowedStore source, Action release,
        ref int flags, OpenParameters parameters,
        Func<FollowedVersion?, FollowerReader, RecoveryException?> refuse)
    {
        try
        {
            using (var reader = source.Read())
            using (var found = reader.Pin(name))
                if (refuse(found, reader) is { } refused) throw refused;
            flags = flags & ~(Sqlite.OpenReadWrite | Sqlite.OpenCreate) | Sqlite.OpenReadOnly;
            var key = pathBytes.ToArray();
            var file = new FollowedFile(new FollowedDatabase(key, name, source, release));
            if (parameters.IsLockFree)
            {
                var last = VfsFile.LastShared;
                file.Lock(LockLevel.Shared);
                VfsFile.LastShared = last;
            }
            byPath.AddOrUpdate(key, 1, static (_, count) => count + 1);
            return file;
        }
        catch
        {
            release();
            throw;
        }
    }

    /// <summary>One handle less.</summary>
    public static void Detach(FollowedDatabase database)
    {
        if (byPath.AddOrUpdate(database.Path, 0, static (_, count) => count - 1) <= 0)
            byPath.TryRemove(KeyValuePair.Create(database.Path, 0));
        database.Release();
    }

    static RestoreTarget MomentOf(RecoveryOptions options) => options switch
    {
        { Lsn: not null, Timestamp: not null } => throw new RecoveryException(RecoveryError.Invalid,
            "lsn= and timestamp= are two moments.", "Give one of them."),
        { Lsn: { } lsn } => RestoreTarget.At(lsn),
        { Timestamp: { } time } => RestoreTarget.At(time),
        _ => RestoreTarget.Newest,
    };

    static Follower EnsureFollowing(Follower? running, string directory, RecoveryOptions options)
    {
        if (running is { State.Phase: not (FollowerPhase.Failed or FollowerPhase.Stopped) })
        {
            ThrowUnlessAsked(running, directory, options);
            return running;
        }
        // SQLite's threads may not run continuations: everything asynchronous happens on the pool.
        return Task.Run(async () =>
        {
            if (running is not null) await running.DisposeAsync();
            return await StartAsync(directory, options);
        }).GetAwaiter().GetResult();
    }

    static void ThrowUnlessAsked(Follower running, string directory, RecoveryOptions options)
    {
        if (running.Url != options.Follow)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{directory} follows {running.Url}, not {options.Follow}.",
                "Give another remote a directory of its own.")
            { Path = directory };
        if (running.Moment != MomentOf(options))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{directory} shows {running.Moment} of {running.Url}, not {MomentOf(options)}.",
                "Give each moment a directory of its own.")
            { Path = directory };
    }

    static async Task<Follower> StartAsync(string directory, RecoveryOptions options)
    {
        var started = await Follower.StartAsync(new FollowerOptions
        {
            Url = options.Follow!,
            Store = options.ToStoreOptions(directory) with { Remote = null },
            Interval = options.FollowInterval,
            Moment = MomentOf(options),
            Fetch = options.Fetch,
            FetchCacheBytes = options.FetchCacheBytes,
        });
        try
        {
            using var patience = new CancellationTokenSource(CatchUpPatience);
            await started.ReadableAsync(AnswerPatience, patience.Token);
            return started;
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops every follower, and closes every view, that no connection uses.</summary>
    public static void CloseIdle()
    {
        followers.CloseIdle();
        views.CloseIdle();
    }
}
