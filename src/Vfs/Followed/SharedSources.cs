using RecoveryVfs.PageStore.Follow;

namespace RecoveryVfs.Followed;

/// <summary>
/// A follower, or a view of another process's store, that connections have started, and that lives as long as they do.
/// </summary>
internal sealed class SharedSource(string directory)
{
    public readonly Lock Opening = new();
    public string Directory { get; } = directory;
    public IFollowedStore? Source;

    /// <summary>Connections; guarded by <see cref="SharedSources"/>.</summary>
    public int References;
    public ITimer? Linger;
}

/// <summary>
/// What this process's connections follow and view: one of a kind for each directory, kept a while after its last
/// connection.
/// </summary>
internal sealed class SharedSources
{
    readonly Lock gate = new();
    readonly Dictionary<string, SharedSource> sources = new(StringComparer.Ordinal);

    /// <summary>
    /// One more reference. <paramref name="ensure"/> is given what is open, or null, and returns what shall be.
    /// </summary>
    public SharedSource Acquire(string directory, Func<IFollowedStore?, IFollowedStore> ensure)
    {
        SharedSource? shared;
        lock (gate)
        {
            if (!sources.TryGetValue(directory, out shared))
                sources.Add(directory, shared = new SharedSource(directory));
            shared.References++;
            shared.Linger?.Dispose();
            shared.Linger = null;
        }
        try
        {
            lock (shared.Opening) shared.Source = ensure(shared.Source);
            return shared;
        }
        catch
        {
            Release(shared);
            throw;
        }
    }

    /// <summary>One reference less.</summary>
    public void Release(SharedSource shared)
    {
        lock (gate)
        {
            if (--shared.References > 0 || shared.Source is null) return;
            var linger = Options.Process.Linger;
            if (linger > TimeSpan.Zero)
            {
                shared.Linger =
                    Options.Process.Time.CreateTimer(s => CloseIfIdle((SharedSource)s!), shared, linger,
                    Timeout.InfiniteTimeSpan);
                return;
            }
        }
        CloseIfIdle(shared);
    }

    /// <summary>Closes all that no connection uses.</summary>
    public void CloseIdle()
    {
        SharedSource[] all;
        lock (gate) all = [.. sources.Values];
        foreach (var shared in all) CloseIfIdle(shared);
    }

    void CloseIfIdle(SharedSource shared)
    {
        lock (shared.Opening)
        {
            lock (gate)
            {
                if (shared.References > 0) return;
                shared.Linger?.Dispose();
                shared.Linger = null;
            }
            var closing = shared.Source;
            shared.Source = null;
            try
            {
                if (closing is IAsyncDisposable following)
                    Task.Run(async () => await following.DisposeAsync()).GetAwaiter().GetResult();
                else (closing as IDisposable)?.Dispose();
            }
            catch (Exception e)
            {
                // Nobody waits for this; the next start goes on from what is on the disk.
                Failures.Report(e, Sqlite.IoErrClose);
            }
        }
    }
}
