using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Replicate.Interop;
using RecoveryVfs.Replicate.Mirrors;

namespace RecoveryVfs.Replicate;

/// <summary>A database to replicate, and its name in the mirror (null: the file's own).</summary>
public sealed record ReplicatedPath(string Path, string? Name = null);

/// <summary>
/// Replicates plain SQLite databases, whose applications know nothing of it, into a store beside them (the mirror) and
/// from there to a remote: each transaction of a WAL is one commit, restorable like any other. Thread-safe.
/// </summary>
public sealed class SqliteReplicator : IAsyncDisposable
{
    static readonly TimeSpan IdleWithNotices = TimeSpan.FromSeconds(5);

    /// <summary>How many databases are looked at a time.</summary>
    static readonly int Places = Math.Max(4, Environment.ProcessorCount * 2);

    readonly ReplicatorOptions options;
    readonly Store store;
    readonly ChangeNotices notices;
    readonly Lock gate = new();
    readonly Dictionary<string, DatabaseWatch> watches = new(StringComparer.Ordinal);
    readonly SemaphoreSlim places = new(Places);
    readonly Dictionary<string, MirrorMark> marks;
    readonly MirrorReporter reporter;
    bool disposed;

    SqliteReplicator(ReplicatorOptions options, Store store)
    {
        (this.options, this.store) = (options, store);
        notices = new ChangeNotices(Notice, options.LookInterval);
        marks = MirrorMarks.Take(store.Directory).ToDictionary(m => m.Name, StringComparer.Ordinal);
        reporter = new(store.Directory, Report, options.Time);
    }

    /// <summary>
    /// Begins to replicate a database; returns when its mirror is in step, or the first try says that it cannot be yet
    /// (see <see cref="Status"/>).
    /// </summary>
    /// <param name="path">The database. It need not exist yet.</param>
    /// <param name="url">Where to: <c>s3://bucket/prefix</c> or <c>file:///directory</c>; null for where the mirror has
    /// shipped before.</param>
    /// <param name="options">What else can be chosen.</param>
    /// <param name="cancellation">Gives up.</param>
    public static Task<SqliteReplicator> StartAsync(string path, string? url, ReplicatorOptions? options = null,
        CancellationToken cancellation = default) =>
        StartAsync([new ReplicatedPath(path)], url, options, cancellation);

    /// <summary>The same for several databases, which share one mirror and one remote.</summary>
    public static async Task<SqliteReplicator> StartAsync(
        IReadOnlyList<ReplicatedPath> databases, string? url, ReplicatorOptions? options = null,
            CancellationToken cancellation = default)
    {
        options ??= new();
        var all = databases.Select(d => d with { Path = MirrorOpening.WholePath(d.Path) }).ToList();
        if (all.Count == 0 && options.Store is null)
            throw new RecoveryException(RecoveryError.Invalid, "There is no database to replicate. Name one.");
        foreach (var each in all) MirrorOpening.RequireReadable(each.Path, options);
        var directory = Path.GetFullPath(options.Store ?? MirrorOpening.Beside(all[0].Path));
        var asked = MirrorOpening.Lean(url is null ? options.Recovery : options.Recovery with { Remote = url });
        var storeOptions = asked.ToStoreOptions(directory) with
        {
            Time = options.Time,
            Alarm = e => options.Events?.Invoke(new(ReplicationEventKind.Warning, directory, e.Message)),
        };
        var store = await Task.Run(() => MirrorOpening.Open(storeOptions, [.. all.Select(d => d.Path)], options),
            cancellation);
        SqliteReplicator? replicator = null;
        try
        {
            if (options.RestoreIfMissing)
                foreach (var path in MirrorOpening.RestoreMissing(store, all.Select(d => (d.Path, NameOf(d)))))
                    options.Events?.Invoke(new(ReplicationEventKind.Restored, path, "restored: it did not exist"));
            replicator = new SqliteReplicator(options, store);
            var first = all.Select(each => replicator.Add(each)).ToList();
            if (options.WaitForFirstLook)
                foreach (var watch in first) await watch.LookAsync(compare: false, cancellation);
            return replicator;
        }
        catch
        {
            if (replicator is not null) await replicator.DisposeAsync();
            else store.Dispose();
            throw;
        }
    }

    static string NameOf(ReplicatedPath database)
    {
        var name = database.Name ?? Path.GetFileName(database.Path);
        DatabaseName.Check(name);
        return name;
    }

    /// <summary>Replicates one more database; does nothing when it is already.</summary>
    public void AddDatabase(ReplicatedPath database)
        => Add(database with { Path = MirrorOpening.WholePath(database.Path) });

    DatabaseWatch Add(ReplicatedPath database)
    {
        var name = NameOf(database);
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (watches.TryGetValue(database.Path, out var known)) return known;
            if (watches.Values.FirstOrDefault(w => w.Status.Name == name) is { } other)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{other.Path} and {database.Path} would both be {name} in the mirror {store.Directory}. Give "
                        + "one of them another name (name:).")
                { Path = database.Path };
            var watched = new ReplicatedDatabase(database.Path, new Mirror(store, name), options, Tell);
            if (marks.TryGetValue(name, out var mark)) watched.GoOnFrom(mark);
            var watch = new DatabaseWatch(watched, options, places, Tell);
            watches.Add(database.Path, watch);
            watch.Notice();
            watch.Start(notices.Watch(Path.GetDirectoryName(database.Path)!) ? IdleWithNotices : options.IdleInterval);
            return watch;
        }
    }

    /// <summary>Stops replicating a database; its mirror stays, and stays restorable.</summary>
    public async Task RemoveDatabaseAsync(string path)
    {
        DatabaseWatch? watch;
        lock (gate)
            if (!watches.Remove(MirrorOpening.WholePath(path), out watch)) return;
        await watch.DisposeAsync();
    }

    void Tell(ReplicationEvent happened)
    {
        reporter.Hurry();
        options.Events?.Invoke(happened);
    }

    ReportedDatabase[] Report()
    {
        lock (gate) return [.. watches.Values.Select(w => w.Reported)];
    }

    void Notice(string? directory, string? name)
    {
        lock (gate)
        {
            if (directory is null || name is null)
            {
                foreach (var each in watches.Values) each.Notice();
                return;
            }
            // `app.db-wal`, `app.db-journal` and `app.db` are all of app.db.
            foreach (var suffix in (string[])["", "-wal", "-journal"])
                if (name.EndsWith(suffix, StringComparison.Ordinal)
                    && watches.TryGetValue(Path.Combine(directory, name[..^suffix.Length]), out var watch))
                    watch.Notice();
        }
    }

    /// <summary>
    /// Looks at every database now, and waits until all that was committed before can be restored from the remote
    /// (without one: until it survives loss of power here).
    /// </summary>
    public async Task FlushAsync(CancellationToken cancellation = default)
    {
        DatabaseWatch[] all;
        lock (gate) all = [.. watches.Values];
        var errors = await Task.WhenAll(all.Select(w => w.LookPatientlyAsync(cancellation)));
        if (errors.FirstOrDefault(e => e is { Error: not RecoveryError.NotFound }) is { } error)
            throw new RecoveryException(error.Error, error.Message, error);
        await Task.Run(() =>
        {
            if (store.Remote is null) store.Sync();
            else store.SyncRemote();
        }, cancellation).WaitAsync(cancellation);
    }

    /// <summary>How it is now.</summary>
    public ReplicatorStatus Status
    {
        get
        {
            DatabaseStatus[] databases;
            lock (gate) databases = [.. watches.Values.Select(w => w.Status)];
            var state = disposed ? null : store.Remote?.State;
            var (lag, failed) = (state?.Lag ?? TimeSpan.Zero, state?.Final?.Message ?? Poison());
            return new()
            {
                Databases = databases,
                Store = store.Directory,
                Remote = store.Remote?.Url,
                Lsn = disposed ? 0 : store.Lsn.Last,
                ShippedLsn = state?.ShippedLsn ?? 0,
                Lag = lag,
                RemoteError = state?.LastError?.Message ?? state?.HintsError,
                Failed = failed,
                WhyNotReady = failed
                    ?? WhyNotReady(databases, lag, state?.LastError?.Message
                    ?? state?.HintsError, options.Time.GetUtcNow()),
            };
        }
    }

    string? Poison()
    {
        if (disposed) return "It was stopped.";
        try
        {
            store.ThrowUnlessWritable();
            return null;
        }
        catch (RecoveryException e)
        {
            return e.Message;
        }
    }

    string? WhyNotReady(DatabaseStatus[] databases, TimeSpan lag, string? remoteError, DateTimeOffset now)
    {
        foreach (var each in databases)
        {
            if (each.Phase is ReplicationPhase.NotCertain or ReplicationPhase.Behind) return $"{each.Path}: {each.Why}";
            if (each.Phase == ReplicationPhase.InStep && now - each.LookedAt > options.ReadyBound)
                return $"{each.Path} was looked at last at {each.LookedAt:O}";
        }
        return lag > options.ReadyBound
            ? $"The oldest commit that only this machine has is {lag.TotalSeconds:0} s old. {remoteError}".TrimEnd()
            : null;
    }

    /// <summary>Looks once more at every database, ships what is left for a while, and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        DatabaseWatch[] all;
        lock (gate)
        {
            if (disposed) return;
            all = [.. watches.Values];
        }
        notices.Dispose();
        await Task.WhenAll(all.Select(async w => await w.DisposeAsync()));
        await reporter.DisposeAsync();
        disposed = true;
        var reached = all.Select(w => w.Mark).OfType<MirrorMark>().ToArray();
        await Task.Run(() => Close(reached));
        places.Dispose();
    }

    void Close(MirrorMark[] reached)
    {
        var isSound = true;
        try
        {
            store.Sync();
        }
        catch (RecoveryException)
        {
            // What is not durable here is compared by the next one.
            isSound = false;
        }
        store.Dispose();
        if (isSound) MirrorMarks.Write(store.Directory, reached);
    }
}
