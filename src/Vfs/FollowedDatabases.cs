using System.Collections.Concurrent;
using System.Text;
using RecoveryVfs.PageStore;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>A database of a follower that has handles in this process.</summary>
internal sealed class FollowedDatabase(byte[] path, string name, Follower follower, SharedFollower? shared)
{
    public byte[] Path { get; } = path;

    public string Name { get; } = name;

    public Follower Follower { get; } = follower;

    /// <summary>The follower's use by connections with <c>follow=</c>; null when the program follows by itself.</summary>
    public SharedFollower? Shared { get; } = shared;
}

/// <summary>A follower that connections have started, and that lives as long as they do.</summary>
internal sealed class SharedFollower(string directory)
{
    public readonly Lock Opening = new();
    public string Directory { get; } = directory;
    public Follower? Follower;

    /// <summary>Connections; guarded by <see cref="FollowedDatabases"/>.</summary>
    public int References;
    public ITimer? Linger;
}

/// <summary>
/// Opens databases of followers: those that <c>follow=URL</c> asks for, and those whose directory this process follows anyway.
/// </summary>
internal static class FollowedDatabases
{
    // What a connection waits for the remote's newest state when it starts the follower.
    static readonly TimeSpan CatchUpPatience = TimeSpan.FromMinutes(5);
    // A remote that does not answer for so long is taken to be away: the connection reads what the follower had.
    static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(5);

    static readonly Lock gate = new();
    static readonly Dictionary<string, SharedFollower> followers = new(StringComparer.Ordinal);
    static readonly ConcurrentDictionary<byte[], int> byPath = new(PathKeys.Comparer);
    static readonly ConcurrentDictionary<byte[], int>.AlternateLookup<ReadOnlySpan<byte>> byPathBytes = byPath.GetAlternateLookup<ReadOnlySpan<byte>>();

    /// <summary>Whether a path is that of a followed database with handles. Takes no lock and allocates nothing.</summary>
    public static bool IsOpen(ReadOnlySpan<byte> path) => !byPath.IsEmpty && byPathBytes.ContainsKey(path);

    /// <summary>Opens a database of a follower; null when no follower has to do with it.</summary>
    public static FollowedFile? TryOpen(ReadOnlySpan<byte> pathBytes, ref int flags, OpenParameters parameters)
    {
        var options = Options.Process.With(parameters.Values);
        if (options.Follow is null && !Follower.Any) return null;
        var path = Encoding.UTF8.GetString(pathBytes);
        var directory = options.Store is { } store ? Path.GetFullPath(store) : Path.Combine(Path.GetDirectoryName(path)!, ".recovery");
        SharedFollower? shared = null;
        var follower = options.Follow is null ? Follower.Find(directory) : (shared = Acquire(directory, options)).Follower;
        if (follower is null) return null;
        try
        {
            var name = Path.GetFileName(path);
            using (var reader = follower.Read())
            using (var found = reader.Pin(name))
                if (found is null)
                    throw new RecoveryException(RecoveryError.CannotOpen,
                        $"The followed store {directory} has no database {name}. It has: {string.Join(", ", reader.Databases)}.");
            flags = flags & ~(Sqlite.OpenReadWrite | Sqlite.OpenCreate) | Sqlite.OpenReadOnly;
            var key = pathBytes.ToArray();
            byPath.AddOrUpdate(key, 1, static (_, count) => count + 1);
            return new FollowedFile(new FollowedDatabase(key, name, follower, shared));
        }
        catch
        {
            if (shared is not null) Release(shared);
            throw;
        }
    }

    /// <summary>One handle less.</summary>
    public static void Detach(FollowedDatabase database)
    {
        if (byPath.AddOrUpdate(database.Path, 0, static (_, count) => count - 1) <= 0) byPath.TryRemove(KeyValuePair.Create(database.Path, 0));
        if (database.Shared is { } shared) Release(shared);
    }

    static SharedFollower Acquire(string directory, RecoveryOptions options)
    {
        SharedFollower? shared;
        lock (gate)
        {
            if (!followers.TryGetValue(directory, out shared)) followers.Add(directory, shared = new SharedFollower(directory));
            shared.References++;
            shared.Linger?.Dispose();
            shared.Linger = null;
        }
        try
        {
            lock (shared.Opening) shared.Follower = EnsureFollowing(shared.Follower, directory, options);
            return shared;
        }
        catch
        {
            Release(shared);
            throw;
        }
    }

    static Follower EnsureFollowing(Follower? running, string directory, RecoveryOptions options)
    {
        if (running is { State.Phase: not (FollowerPhase.Failed or FollowerPhase.Stopped) })
        {
            if (running.Url != options.Follow)
                throw new RecoveryException(RecoveryError.Invalid, $"{directory} follows {running.Url}, not {options.Follow}. Give another remote a directory of its own.");
            return running;
        }
        // SQLite's threads may not run continuations: everything asynchronous happens on the pool.
        return Task.Run(async () =>
        {
            if (running is not null) await running.DisposeAsync();
            var started = await Follower.StartAsync(new FollowerOptions { Url = options.Follow!, Store = options.ToStoreOptions(directory) with { Remote = null }, Interval = options.FollowInterval });
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
        }).GetAwaiter().GetResult();
    }

    static void Release(SharedFollower shared)
    {
        lock (gate)
        {
            if (--shared.References > 0 || shared.Follower is null) return;
            var linger = Options.Process.Linger;
            if (linger > TimeSpan.Zero)
            {
                shared.Linger = Options.Process.Time.CreateTimer(static s => CloseIfIdle((SharedFollower)s!), shared, linger, Timeout.InfiniteTimeSpan);
                return;
            }
        }
        CloseIfIdle(shared);
    }

    /// <summary>Stops every follower that no connection uses.</summary>
    public static void CloseIdle()
    {
        SharedFollower[] all;
        lock (gate) all = [.. followers.Values];
        foreach (var shared in all) CloseIfIdle(shared);
    }

    static void CloseIfIdle(SharedFollower shared)
    {
        lock (shared.Opening)
        {
            lock (gate)
            {
                if (shared.References > 0) return;
                shared.Linger?.Dispose();
                shared.Linger = null;
            }
            var closing = shared.Follower;
            shared.Follower = null;
            if (closing is null) return;
            try
            {
                Task.Run(async () => await closing.DisposeAsync()).GetAwaiter().GetResult();
            }
            catch (Exception e)
            {
                // Nobody waits for this; the next start goes on from what is on the disk.
                Failures.Report(e, Sqlite.IoErrClose);
            }
        }
    }
}
