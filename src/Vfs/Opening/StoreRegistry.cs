using System.Diagnostics;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Opening;

/// <summary>A store directory that connections of this process use, and the store while it is open.</summary>
internal sealed class OpenStore(string directory)
{
    Store? store;
    IDisposable[] services = [];

    /// <summary>Held while the store opens or closes, which may take long.</summary>
    public readonly Lock Opening = new();

    public string Directory { get; } = directory;

    /// <summary>The store. Only called by whoever holds a reference.</summary>
    public Store Store => store!;

    public bool IsOpen => store is not null;

    /// <summary>What the store was opened with, its own config file included.</summary>
    public RecoveryOptions Options { get; private set; } = new();

    /// <summary>Who uses it; guarded by <see cref="StoreRegistry"/>.</summary>
    public int References;

    /// <summary>Closes it some time after the last reference went; guarded by <see cref="StoreRegistry"/>.</summary>
    public ITimer? Linger;

    /// <summary>The databases with handles, by name; guarded by <see cref="OpenDatabases"/>.</summary>
    public readonly Dictionary<string, OpenDatabase> OpenDatabases = new(StringComparer.Ordinal);

    /// <summary>
    /// Opens the store unless it is open. Waits a moment for another process that is about to let go of it.
    /// </summary>
    public void EnsureOpen(RecoveryOptions options)
    {
        lock (Opening)
        {
            if (store is not null) return;
            var started = Stopwatch.GetTimestamp();
            while (true)
            {
                try
                {
                    store = Store.Open(StoreRegistry.Simulated?.Invoke(Directory, options)
                        ?? options.ToStoreOptions(Directory));
                    Options = options;
                    DeletedDatabases.LetGo(store, options.Retention, options.Time.GetUtcNow());
                    if (StoreRegistry.Simulated is null)
                        services = [.. StoreRegistry.Services.Select(start => start(this)).OfType<IDisposable>()];
                    return;
                }
                catch (RecoveryException e) when (e.Error == RecoveryError.Busy
                    && Stopwatch.GetElapsedTime(started) < options.LockTimeout)
                {
                    // Another process's lock cannot be waited for with a time limit, only tried.
                    Thread.Sleep(20);
                }
            }
        }
    }

    /// <summary>Closes the store. Called under <see cref="Opening"/>, without references.</summary>
    public void Close()
    {
        foreach (var service in services) service.Dispose();
        services = [];
        var closing = store;
        store = null;
        closing?.Dispose();
    }
}

/// <summary>
/// The stores that this process has open: each opened by its first connection and closed soon after its last. The delay
/// makes opening and closing in quick succession cheap; no thread runs while no store is open.
/// </summary>
internal static class StoreRegistry
{
    /// <summary>Gives a store directory a simulated disk, or null for the real one: for tests.</summary>
    public static Func<string, RecoveryOptions, StoreOptions?>? Simulated { get; set; }

    /// <summary>Whether this process has ever opened a store.</summary>
    public static bool HasOpened { get; private set; }

    /// <summary>
    /// What is done beside each store while it is open: started when it has opened, disposed of before it closes. None
    /// of it throws.
    /// </summary>
    public static List<Func<OpenStore, IDisposable?>> Services { get; } = [];

    static readonly Lock gate = new();
    static readonly Dictionary<string, OpenStore> stores = new(StringComparer.Ordinal);

    /// <summary>
    /// One more reference to the store in a directory, opening it when needed. <paramref name="fits"/> throws when the
    /// store is open and not as the caller needs it; one that nobody uses any more is then opened again.
    /// </summary>
    public static OpenStore Acquire(string directory, RecoveryOptions options, Action<OpenStore> fits)
    {
        var store = Acquire(directory, options);
        try
        {
            fits(store);
            return store;
        }
        catch (RecoveryException)
        {
            Release(store);
            CloseIfIdle(store);
            if (store.IsOpen) throw;
        }
        return Acquire(directory, options);
    }

    /// <summary>One more reference to the store in a directory, opening it when needed.</summary>
    public static OpenStore Acquire(string directory, RecoveryOptions options)
    {
        OpenStore? store;
        lock (gate)
        {
            if (!stores.TryGetValue(directory, out store)) stores.Add(directory, store = new OpenStore(directory));
            store.References++;
            store.Linger?.Dispose();
            store.Linger = null;
        }
        try
        {
            store.EnsureOpen(options);
            HasOpened = true;
            return store;
        }
        catch
        {
            Release(store);
            throw;
        }
    }

    /// <summary>Whether this process has a store open, or is about to.</summary>
    public static bool IsOpen(string directory)
    {
        lock (gate) return stores.TryGetValue(directory, out var store) && (store.IsOpen || store.References > 0);
    }

    /// <summary>One more reference to each store that is open now; the caller releases them.</summary>
    public static IReadOnlyList<OpenStore> AcquireOpen()
    {
        lock (gate)
        {
            var open = stores.Values.Where(s => s.IsOpen && s.References > 0).ToList();
            foreach (var store in open) store.References++;
            return open;
        }
    }

    /// <summary>One reference less.</summary>
    public static void Release(OpenStore store)
    {
        lock (gate)
        {
            if (--store.References > 0 || !store.IsOpen) return;
            if (store.Options.Linger > TimeSpan.Zero)
            {
                store.Linger =
                    store.Options.Time.CreateTimer(static s => CloseIfIdle((OpenStore)s!), store, store.Options.Linger,
                    Timeout.InfiniteTimeSpan);
                return;
            }
        }
        CloseIfIdle(store);
    }

    /// <summary>Closes every store that no connection uses, without waiting out its delay.</summary>
    public static void CloseIdle()
    {
        OpenStore[] all;
        lock (gate) all = [.. stores.Values];
        foreach (var store in all) CloseIfIdle(store);
    }

    /// <summary>
    /// The process exits: ships what the stores that are in use have committed, all at once. The limit is for a thread
    /// that was stopped with a lock in its hand, or a disk that does not answer; the stores' own patience is shorter.
    /// Their references are kept: nobody closes a store that still ships.
    /// </summary>
    public static void ShipBeforeExit()
    {
        var open = AcquireOpen();
        if (open.Count == 0) return;
        Task.WaitAll([.. open.Select(store => Task.Run(store.Store.ShipBeforeExit))], ExitLimit);
    }

    static readonly TimeSpan ExitLimit = TimeSpan.FromSeconds(8);

    static void CloseIfIdle(OpenStore store)
    {
        lock (store.Opening)
        {
            lock (gate)
            {
                if (store.References > 0) return;
                store.Linger?.Dispose();
                store.Linger = null;
            }
            try
            {
                store.Close();
            }
            catch (Exception e)
            {
                // Nobody waits for this; what is in the log is replayed by the next open.
                Failures.Report(e, Sqlite.IoErrClose);
            }
        }
    }
}
