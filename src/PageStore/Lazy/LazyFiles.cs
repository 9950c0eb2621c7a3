using System.Collections.Concurrent;
using System.Globalization;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore.Lazy;

/// <summary>
/// The files of a store's directory that come from its remote when they are read. Each byte is verified before anybody
/// sees it. A file that is whole is an ordinary file from then on, and a directory whose files are all whole is an
/// ordinary directory. Thread-safe.
/// </summary>
internal sealed class LazyFiles : IAbsentFiles
{
    readonly StoreHome home;
    readonly LazyList list;
    readonly RemoteContext context;
    readonly CancellationTokenSource stopping;
    readonly ConcurrentDictionary<string, LazyFile> absent = new(StringComparer.Ordinal);
    readonly ConcurrentDictionary<string, long> live = new(StringComparer.Ordinal);
    readonly ConcurrentBag<LazyFile> whole = [];
    readonly Lock gate = new();
    readonly bool isOwner;
    Task filling = Task.CompletedTask;
    bool disposed;

    [ThreadStatic] static Action<RecoveryException>? patience;

    LazyFiles(StoreHome home, LazyList list, RemoteContext context, bool isOwner, CancellationToken stop)
    {
        (this.home, this.list, this.context, this.isOwner) = (home, list, context, isOwner);
        stopping = CancellationTokenSource.CreateLinkedTokenSource(stop);
        LocalDisk.Instance.CreateDirectory(home.Fetching);
        foreach (var (name, extent) in list.Files)
        {
            var (path, record) = (Path.Combine(home.Pages, name), RecordOf(home, extent.Fnode));
            if (!File.Exists(path)) continue; // RocksDB needed it no more
            live[name] = extent.SizeBytes;
            if (File.Exists(record)) absent[name] = new LazyFile(extent, path, record, context, home.Fetching);
        }
        EndIfWhole();
    }

    /// <summary>The same store, whose missing files come from a remote.</summary>
    public static StoreOptions OpenedBy(StoreOptions options, Func<RemoteContext> remote, bool isOwner,
        CancellationToken stop) =>
        options with { OpenAbsent = home => Open(home, remote(), isOwner, stop) };

    /// <summary>
    /// Opens those of a directory whose page store nobody in this process has open. The context's object store is its
    /// own from now on.
    /// </summary>
    /// <param name="home">The directory.</param>
    /// <param name="context">The remote.</param>
    /// <param name="isOwner">Whether this process has the directory's lock, and says when all of it is here.</param>
    /// <param name="stop">Ends what is being fetched.</param>
    public static LazyFiles Open(StoreHome home, RemoteContext context, bool isOwner, CancellationToken stop)
    {
        var path = Path.Combine(home.Path, "lazy");
        var list = LazyList.Parse(home.LazyList ?? throw new InvalidOperationException($"{home.Path} is whole."), path);
        return new LazyFiles(home, list, context, isOwner, stop);
    }

    /// <summary>
    /// Makes files that are not here, each with its length; when it returns, they and what says so are durable. The
    /// directory has not begun yet.
    /// </summary>
    public static void Create(StoreHome home, LazyList list)
    {
        home.LazyList = list.ToText();
        LocalDisk.Instance.CreateDirectory(home.Fetched);
        foreach (var (name, extent) in list.Files)
            LazyFile.Create(extent, Path.Combine(home.Pages, name), RecordOf(home, extent.Fnode));
        LocalDisk.Instance.SyncDirectory(home.Fetched);
        LocalDisk.Instance.SyncDirectory(home.Pages);
        LocalDisk.Instance.SyncDirectory(home.Path);
    }

    static string RecordOf(StoreHome home, ulong fnode) =>
        Path.Combine(home.Fetched, fnode.ToString("x16", CultureInfo.InvariantCulture));

    /// <summary>The hints that the directory began with; their extents must stay in the remote while it is lazy.</summary>
    public ulong HintsLsn => list.HintsLsn;

    /// <summary>What the remote has no more, or has damaged: nobody can read it here. Null when nothing.</summary>
    public RecoveryException? Lost { get; private set; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => [.. absent.Keys];

    /// <inheritdoc/>
    public bool IsAbsent(string name) => absent.ContainsKey(name);

    /// <summary>How much is here.</summary>
    public FetchedFigures Fetched
    {
        get
        {
            var missing = absent.Values.ToList();
            var bytes = live.Values.Sum();
            return new FetchedFigures(bytes - missing.Sum(f => f.Extent.SizeBytes - f.PresentBytes), bytes,
                live.Count - missing.Count, live.Count);
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
                var got = file.Read(offset, to, stopping.Token);
                if (file.IsComplete) Forget(name);
                return got;
            }
            catch (RecoveryException e)
            {
                if (e.Error == RecoveryError.Corrupt) Lost = e;
                if (patience is not { } told || e.Error != RecoveryError.Remote) throw Explain(e, name, offset, to.Length);
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
            : "What was read before can be read. A follower that is started again begins with newer hints.",
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
            file.Dispose();
        }
        EndIfWhole();
    }

    void Forget(string name)
    {
        // Others may be reading it just now: its handle is closed at the end.
        if (absent.TryRemove(name, out var file)) whole.Add(file);
        EndIfWhole();
    }

    void EndIfWhole()
    {
        if (!isOwner || !absent.IsEmpty) return;
        lock (gate)
            if (home.IsLazy) home.LazyList = null;
    }

    /// <summary>Begins to bring in what is missing, beside whoever reads.</summary>
    public void FillInBackground()
    {
        lock (gate)
            if (filling.IsCompleted) filling = Task.Run(() => FillAsync(patient: true, stopping.Token));
    }

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
                await file.FillAsync(stopping.Token).WaitAsync(cancellation);
                failures = 0;
                Forget(name);
            }
            catch (ObjectDisposedException)
            {
                // RocksDB has just deleted it.
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
            await filling;
            await context.Store.DisposeAsync();
        }).GetAwaiter().GetResult();
        foreach (var file in absent.Values.Concat(whole)) file.Dispose();
        stopping.Dispose();
    }
}
