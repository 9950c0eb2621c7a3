using System.Collections.Concurrent;
using System.Globalization;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Blocks;

namespace RecoveryVfs.PageStore.Lazy;

/// <summary>
/// The files of a store's directory that come from its remote when they are read, block by block. Each byte is verified
/// before anybody sees it. A file that is whole is an ordinary file from then on, and a directory whose files are all
/// whole is an ordinary directory. Thread-safe.
/// </summary>
internal sealed class LazyFiles : IAbsentFiles
{
    const int TriesMax = 5, ReadTries = 3;

    /// <summary>What a table's index and filter take; native code asks for as much.</summary>
    const int TableEndBytes = 96 << 10;

    /// <summary>So much takes hardly longer than a block of it.</summary>
    const long WholeBytes = 512 << 10;

    readonly StoreHome home;
    readonly LazyList list;
    readonly RemoteContext context;
    readonly BlockCache cache;
    readonly CancellationTokenSource stopping;
    readonly ConcurrentDictionary<string, LazyFile> absent = new(StringComparer.Ordinal);
    readonly ConcurrentDictionary<string, long> live = new(StringComparer.Ordinal);
    readonly Lock gate = new();
    readonly bool isOwner, keepsAll;
    readonly HashSet<string> settling = new(StringComparer.Ordinal);
    readonly TaskCompletionSource whole = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly FetchPin? pin;
    Task filling = Task.CompletedTask, settled = Task.CompletedTask, pinning = Task.CompletedTask;
    bool disposed;

    [ThreadStatic] static Action<RecoveryException>? patience;

    LazyFiles(StoreHome home, LazyList list, LazySource source, CancellationToken stop)
    {
        (this.home, this.list, isOwner) = (home, list, source.IsOwner);
        keepsAll = source.BudgetBytes == long.MaxValue;
        pin = source.Pin;
        context = source.Open();
        cache = new BlockCache(context, new BlockCacheOptions
        {
            BudgetBytes = source.BudgetBytes,
            WholeBytes = Math.Min(WholeBytes, source.BudgetBytes / 16),
        });
        stopping = CancellationTokenSource.CreateLinkedTokenSource(stop);
        stopping.Token.UnsafeRegister(static c => ((BlockCache)c!).Stop(), cache);
        foreach (var (name, extent) in list.Files)
        {
            var (path, record) = (Path.Combine(home.Pages, name), RecordOf(home, extent.Fnode));
            var found = new FileInfo(path);
            if (!found.Exists) continue; // RocksDB needed it no more
            live[name] = extent.SizeBytes;
            if (!File.Exists(record)) continue;
            absent[name] = new LazyFile(cache, extent, path, record);
            // Power may fail before a new file has its length, which RocksDB looks at.
            if (found.Length != extent.SizeBytes) _ = absent[name].PresentBytes;
        }
        EndIfWhole();
    }

    /// <summary>The same store, whose missing files come from a remote.</summary>
    public static StoreOptions OpenedBy(StoreOptions options, LazySource source, CancellationToken stop) =>
        options with { OpenAbsent = home => new LazyFiles(home, LazyList.Of(home), source, stop) };

    /// <summary>
    /// The same for a writer, which owns the directory: it knows itself where the bytes are. They come from the store's
    /// own remote when that is the one, by whatever way this one is reached now.
    /// </summary>
    public static StoreOptions OpenedByWriter(StoreOptions options) => options with
    {
        OpenAbsent = home =>
        {
            var list = LazyList.Of(home);
            return new LazyFiles(home, list, new LazySource(() => Reading(options, list.Url), IsOwner: true)
            {
                Pin = PinOf(options, list),
            }, default);
        },
    };

    /// <summary>The pin of what a writer's directory fetches; null when it does not ship there.</summary>
    public static FetchPin? PinOf(StoreOptions options, LazyList list) => options.Remote is not { } remote
        || !IsSame(remote.Url, list.Url) ? null
        : new FetchPin(options.Home, list.HintsLsn,
            () => RemoteContext.Of(remote.OpenStore(options.Time), options.Time, options.Directory));

    /// <summary>A reader waits for a request that is tried again, and not through an outage.</summary>
    static RemoteContext Reading(StoreOptions options, string url)
    {
        var objects = options.Remote is { } remote && IsSame(remote.Url, url)
            ? remote.OpenStore(options.Time, readOnly: true)
            : RemoteUrl.Parse(url).Open(readOnly: true, options.Time);
        var context = RemoteContext.Of(objects, options.Time, options.Directory);
        return context with { Tries = ReadTries, Backoff = context.Backoff with { Longest = TimeSpan.FromSeconds(2) } };
    }

    /// <summary>What stands behind the place, such as the endpoint, may change.</summary>
    static bool IsSame(string url, string other) => url.Split('?')[0] == other.Split('?')[0];

    /// <summary>
    /// Makes files that are not here, each with its length, and brings in the ends of those that are read first, as far
    /// as they come. Nothing is durable when it returns, and the directory has not begun yet.
    /// </summary>
    public static async Task CreateAsync(StoreHome home, LazyList list, RemoteContext context,
        IReadOnlySet<string> readFirst)
    {
        home.LazyList = list.ToText();
        LocalDisk.Instance.CreateDirectoryUnsynced(home.Fetched);
        using var cache = new BlockCache(context, new BlockCacheOptions { WholeBytes = WholeBytes });
        var coming = new List<Task>();
        foreach (var (name, extent) in list.Files)
        {
            var file = cache.Open(extent, Path.Combine(home.Pages, name), RecordOf(home, extent.Fnode));
            if (readFirst.Contains(name)) coming.Add(FetchEndAsync(file));
            else file.Dispose();
        }
        await Task.WhenAll(coming);
    }

    static async Task FetchEndAsync(BlockFile file)
    {
        var bytes = Math.Min(file.Extent.SizeBytes, TableEndBytes);
        try
        {
            await file.FetchAsync(file.Extent.SizeBytes - bytes, bytes);
        }
        catch (RecoveryException)
        {
            // Whoever reads it will hear of it.
        }
    }

    static string RecordOf(StoreHome home, ulong fnode) =>
        Path.Combine(home.Fetched, fnode.ToString("x16", CultureInfo.InvariantCulture));

    /// <summary>
    /// The hints that the directory began with; their extents must stay in the remote while it is lazy.
    /// </summary>
    public ulong HintsLsn => list.HintsLsn;

    /// <summary>What comes from a remote, if it is that one; null when it is another.</summary>
    public IReadOnlyList<LazyEntry>? FilesOf(string url) => IsSame(url, list.Url) ? list.Files : null;

    /// <summary>What the remote has no more, or has damaged: nobody can read it here. Null when nothing.</summary>
    public RecoveryException? Lost { get; private set; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => [.. absent.Keys];

    /// <inheritdoc/>
    public bool IsAbsent(string name) => absent.ContainsKey(name);

    /// <summary>
    /// How much is here of a directory that another process may have open; null when all is. Takes no lock.
    /// </summary>
    public static FetchedFigures? In(StoreHome home)
    {
        if (home.LazyList is not { } text) return null;
        var (here, all, whole, files) = (0L, 0L, 0, 0);
        foreach (var (name, extent) in LazyList.Parse(text, Path.Combine(home.Path, "lazy")).Files)
        {
            if (!File.Exists(Path.Combine(home.Pages, name))) continue; // RocksDB needed it no more
            var came = BlockCache.BytesHere(RecordOf(home, extent.Fnode), extent) ?? extent.SizeBytes;
            (here, all, files) = (here + came, all + extent.SizeBytes, files + 1);
            if (came == extent.SizeBytes) whole++;
        }
        return new FetchedFigures(here, all, whole, files);
    }

    /// <summary>How much is here.</summary>
    public FetchedFigures Fetched
    {
        get
        {
            var bytes = live.Values.Sum();
            var missing = absent.Values.Select(f => f.Extent.SizeBytes - f.PresentBytes).Where(m => m > 0).ToList();
            return new FetchedFigures(bytes - missing.Sum(), bytes, live.Count - missing.Count, live.Count);
        }
    }

    /// <summary>
    /// Until what is returned is disposed, this thread's reads wait for as long as the remote is away, and what keeps
    /// them is told each time.
    /// </summary>
    public static IDisposable WaitPatiently(Action<RecoveryException> told)
    {
        patience = told;
        return new Patience();
    }

    sealed class Patience : IDisposable
    {
        public void Dispose() => patience = null;
    }

    /// <inheritdoc/>
    public int Read(string name, long offset, Span<byte> to)
    {
        for (var failures = 1; ; failures++)
        {
            if (!absent.TryGetValue(name, out var file)) return ReadWhole(name, offset, to);
            try
            {
                var got = file.Read(offset, to, out var isWhole);
                if (got < 0) return ReadWhole(name, offset, to);
                if (isWhole && keepsAll) SettleInBackground(name);
                return got;
            }
            catch (RecoveryException e)
            {
                if (e.Error == RecoveryError.Corrupt) Lost = e;
                if (patience is not { } told || e.Error != RecoveryError.Remote)
                    throw Explain(e, name, offset, to.Length);
                told(e);
                Wait(context.Backoff.After(failures, context.Random));
            }
            catch (OperationCanceledException e)
            {
                throw Stopped(name, e);
            }
        }
    }

    void Wait(TimeSpan time)
    {
        if (stopping.Token.WaitHandle.WaitOne(time)) throw Stopped("a file", null);
    }

    int ReadWhole(string name, long offset, Span<byte> to)
    {
        using var file = File.OpenHandle(Path.Combine(home.Pages, name), share: FileShare.ReadWrite | FileShare.Delete);
        return RandomAccess.Read(file, to, offset);
    }

    RecoveryException Stopped(string name, Exception? cause) => new(RecoveryError.Busy,
        $"{home.Path} was closed while bytes of {name} were on their way.",
        "Open it again.", cause ?? new OperationCanceledException())
    { Path = home.Path };

    RecoveryException Explain(RecoveryException e, string name, long offset, int length) => new(e.Error,
        $"Bytes {offset} to {offset + length} of {name} in {home.Path} are not here, and cannot be fetched from "
            + $"{context.Store.Location}: {e.Message.TrimEnd('.')}.",
        e.Error == RecoveryError.Remote
            ? "What was read before can be read; the rest comes when the remote can be reached."
            : home.IsReplica
            ? "What was read before can be read. A follower that is started again begins with newer hints."
            : "What was read before can be read. See `recovery verify` of the remote for what it still has.",
        e)
    { Path = e.Path ?? context.Store.Location, Lsn = e.Lsn, IsTransient = e.Error == RecoveryError.Remote };

    /// <inheritdoc/>
    public void Deleted(string name)
    {
        if (!live.TryRemove(name, out _)) return;
        if (isOwner && absent.TryRemove(name, out var file))
        {
            // RocksDB needs it no more, so nobody takes it for whole.
            File.Delete(RecordOf(home, file.Extent.Fnode));
            file.Close();
        }
        EndIfWhole();
    }

    /// <summary>Whoever has read its last block does not wait for a sync of it all.</summary>
    void SettleInBackground(string name)
    {
        lock (gate)
            if (!disposed && settling.Add(name)) settled = settled.ContinueWith(_ => TrySettle(name), stopping.Token,
                TaskContinuationOptions.None, TaskScheduler.Default);
    }

    void TrySettle(string name)
    {
        try
        {
            if (!absent.TryGetValue(name, out var file) || !file.Settle()) return;
            LocalDisk.Instance.SyncDirectory(home.Fetched);
            if (absent.TryRemove(name, out _)) file.Close();
            EndIfWhole();
        }
        catch (Exception e) when (e is RecoveryException or IOException or ObjectDisposedException)
        {
            // It stays lazy, which is right as well; the next opening tries again.
        }
    }

    void EndIfWhole()
    {
        if (!isOwner || !absent.IsEmpty) return;
        lock (gate)
            if (home.IsLazy) home.LazyList = null;
        whole.TrySetResult();
    }

    /// <summary>
    /// Makes the directory durable that was made without waiting for a disk. What fails is tried again by the next
    /// opening.
    /// </summary>
    public void MakeDurableInBackground()
    {
        if (!isOwner || !home.IsUnsynced) return;
        lock (gate)
            settled = settled.ContinueWith(_ => home.MakeDurable(), stopping.Token, TaskContinuationOptions.None,
                TaskScheduler.Default);
    }

    /// <summary>Begins to bring in what is missing, beside whoever reads.</summary>
    public void FillInBackground()
    {
        lock (gate)
            if (keepsAll && filling.IsCompleted) filling = Task.Run(() => FillAsync(patient: true, stopping.Token));
    }

    /// <summary>Keeps the pin while something is missing, if there is to be one.</summary>
    public void KeepPinnedInBackground()
    {
        lock (gate)
            if (pin is not null && pinning.IsCompleted) pinning = Task.Run(() => KeepPinnedAsync(pin, stopping.Token));
    }

    async Task KeepPinnedAsync(FetchPin pin, CancellationToken stop)
    {
        while (!whole.Task.IsCompleted)
        {
            await pin.RenewAsync(stop);
            await Task.WhenAny(whole.Task, Task.Delay(FetchPin.Renewal, context.Time, stop));
            stop.ThrowIfCancellationRequested();
        }
        await pin.RemoveAsync(stop);
    }

    /// <summary>
    /// Brings in all of a file, and makes it an ordinary one; does nothing when it is. For threads that cannot await.
    /// </summary>
    public void Bring(string name)
    {
        for (var tries = 1; absent.TryGetValue(name, out var file); tries++)
        {
            Task.Run(() => file.FillAsync(stopping.Token)).GetAwaiter().GetResult();
            TrySettle(name);
            if (absent.ContainsKey(name) && tries == TriesMax) throw NotSettled(name);
        }
    }

    RecoveryException NotSettled(string name) => new(RecoveryError.Full,
        $"All of {name} was fetched into {home.Path}, and did not stay there.",
        keepsAll ? "See whether its disk has room and can be written." : "Leave fetch-cache= out.")
    { Path = home.Path };

    /// <summary>
    /// Brings in all that is missing. While the remote is away it throws, or, when it is patient, tries on.
    /// </summary>
    public async Task FillAsync(bool patient, CancellationToken cancellation)
    {
        for (var failures = 0; absent.Keys.Order(StringComparer.Ordinal).FirstOrDefault() is { } name;)
        {
            if (!absent.TryGetValue(name, out var file)) continue;
            try
            {
                await file.FillAsync(cancellation);
                TrySettle(name);
                if (!absent.ContainsKey(name)) failures = 0;
                else if (++failures == TriesMax) throw NotSettled(name);
            }
            catch (RecoveryException e) when (patient && e.Error is RecoveryError.Remote or RecoveryError.IoWrite)
            {
                await Task.Delay(context.Backoff.After(++failures, context.Random), context.Time, cancellation);
            }
            catch (RecoveryException e) when (patient)
            {
                Lost = e;
                return;
            }
            catch (OperationCanceledException) when (patient)
            {
                return;
            }
        }
        // Another thread may have settled the last one, and be about to say so.
        EndIfWhole();
    }

    /// <inheritdoc/>
    public void Stop() => stopping.Cancel();

    public void Dispose()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
        }
        Stop();
        Task.Run(async () =>
        {
            await Task.WhenAll(filling, settled, pinning).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await context.Store.DisposeAsync();
        }).GetAwaiter().GetResult();
        foreach (var file in absent.Values) file.Close();
        cache.Dispose();
        stopping.Dispose();
    }
}
