using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// The directory of somebody's RocksDB, every change of which goes into a recovery log beside it, and from there to a
/// remote. RocksDB opens it through <see cref="Files"/> and needs nothing of this to read it: what counts after a crash
/// is the directory, and the log is brought to it. Thread-safe.
/// </summary>
internal sealed class RecordedDirectory : IAsyncDisposable
{
    /// <summary>How long events wait in line before they go into the log by themselves.</summary>
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(100);

    static readonly TimeSpan ShipRestPatience = TimeSpan.FromSeconds(5);

    readonly StoreOptions options;
    readonly StoreHome home;
    readonly StoreLock? held;
    readonly LocalLog log;
    readonly LiveFiles live;
    readonly DirectoryRecorder recorder;
    readonly CancellationTokenSource stopping = new();
    readonly Task looking;
    readonly bool waitsForRemote;
    readonly Lock hintsGate = new();
    RecoveryException? trouble;
    long sizeAtHints;
    bool disposed;

    /// <summary>
    /// Opens a directory, new or not, for the one process that writes it; <paramref name="store"/> is how its log is
    /// kept, in <c>.recovery</c> below it.
    /// </summary>
    /// <param name="path">RocksDB's directory.</param>
    /// <param name="store">The log's directory and its remote.</param>
    /// <param name="waitsForRemote">A sync returns when the remote has what was synced.</param>
    /// <param name="name">How RocksDB names the directory, where that is not its full path.</param>
    public static RecordedDirectory Open(string path, StoreOptions store, bool waitsForRemote = false,
        string? name = null)
    {
        store = store.WithinLogBound();
        var home = store.Home;
        home.Create();
        if (home.WhyNotOwner(store.Remote?.Url) is { } why) throw why;
        var held = StoreLock.TakeFor(store);
        try
        {
            home.ThrowUnlessWhole();
            home.BeginRocksDb();
            return new RecordedDirectory(path, name ?? path, store, held, waitsForRemote);
        }
        catch
        {
            held?.Dispose();
            throw;
        }
    }

    RecordedDirectory(string path, string name, StoreOptions store, StoreLock? held, bool waitsForRemote)
    {
        (options, home, this.held, this.waitsForRemote) = (store, store.Home, held, waitsForRemote);
        Path = path;
        (log, live, var logsAnew) = DirectoryOpening.OpenLog(store);
        try
        {
            recorder = new DirectoryRecorder(path, log, live, MayWrite, Synced, () => Remote?.Sealed());
            Reconciliation.Run(path, log, live, logsAnew);
            recorder.Begin();
            Files = new RecordedFiles(name, recorder);
            if (store.Remote is { } remote)
                Remote = new DirectoryRemote(this, new ShippedDirectory(path, this, log, live, store), remote, store);
        }
        catch
        {
            Files?.Dispose();
            log.Dispose();
            throw;
        }
        Remote?.Start();
        looking = Task.Run(LookAsync);
    }

    /// <summary>RocksDB's directory.</summary>
    public string Path { get; }

    /// <summary>The file system that RocksDB is to be opened with; <see cref="DisposeAsync"/> frees it.</summary>
    public RecordedFiles Files { get; }

    /// <summary>The newest record that has a number.</summary>
    public ulong LastLsn => log.LastLsn;

    /// <summary>Where the log goes, or null.</summary>
    public DirectoryRemote? Remote { get; }

    /// <summary>Who is told of each change; tests tell it without a RocksDB.</summary>
    internal IDirectoryRecorder Recorder => recorder;

    internal LocalLog Log => log;
    internal LiveFiles Live => live;

    /// <summary>
    /// Hands all that RocksDB did until now to the operating system, and so to who ships; returns the last record of
    /// it.
    /// </summary>
    public ulong WriteOut()
    {
        recorder.AppendEvents();
        // Another thread may just be putting them into the log.
        log.AppendEvents();
        var lsn = log.LastLsn;
        log.WriteOut(lsn);
        return lsn;
    }

    /// <summary>On RocksDB's threads, after every write to a write-ahead log.</summary>
    void MayWrite()
    {
        if (trouble is { } why) throw why.Again();
        Remote?.ThrowIfLost();
        if (log.SizeBytes >= options.MaxLocalLogBytes)
            throw new RecoveryException(RecoveryError.Full,
                $"The recovery log in {home.Path} has reached its bound of {options.MaxLocalLogBytes >> 20} MiB, and "
                    + "the remote has not taken it.",
                "Bring the remote back, or raise the bound (MaxLocalLogBytes), and open the RocksDB again.")
            { Path = home.Path };
    }

    /// <summary>On the thread that asked RocksDB for the sync.</summary>
    void Synced()
    {
        if (trouble is { } why) throw why.Again();
        if (Remote is null) return;
        Remote.ThrowIfNotOurs();
        if (waitsForRemote) Remote.WaitRestorable(WriteOut());
    }

    /// <summary>
    /// Completes when what RocksDB did until now can be restored from the remote, if there is one.
    /// </summary>
    public async Task SyncAsync(TimeSpan patience, CancellationToken cancellation)
    {
        if (Remote is not { } remote)
            throw new RecoveryException(RecoveryError.Invalid, $"{Path} has no remote to sync with.", "Set Remote.")
            { Path = Path };
        await remote.WhenRestorableAsync(WriteOut(), patience, cancellation);
    }

    async Task LookAsync()
    {
        try
        {
            for (; ; await Task.Delay(LookInterval, options.Time, stopping.Token))
            {
                recorder.AppendEvents();
                if (log.WrittenLsn < log.LastLsn) log.WriteOut(log.LastLsn);
                if (log.SizeBytes >= sizeAtHints + options.LogBytesBetweenFlushes) PublishHints();
            }
        }
        catch (OperationCanceledException)
        {
            // It closes.
        }
        catch (RecoveryException e)
        {
            trouble = e;
            options.Alarm?.Invoke(e);
        }
    }

    /// <summary>
    /// Local hints, and the log that nobody needs any more goes: all of what it says is in the directory.
    /// </summary>
    internal void PublishHints()
    {
        lock (hintsGate)
        {
            log.EndLongSegment();
            var hints = live.Snapshot(log.LogId, log.Epoch, lsn => lsn + 1) with { UnixTimeMs = log.LastTimeMs };
            log.Sync(hints.Lsn);
            LocalHints.Publish(options.Disk, home.Path, hints);
            log.DropBefore(hints.ReplayFrom);
            sizeAtHints = log.SizeBytes;
        }
    }

    /// <summary>
    /// Closes it, once RocksDB is closed: everything is in the log, and in the remote if that can be reached.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (disposed) return;
        disposed = true;
        stopping.Cancel();
        await looking;
        try
        {
            var lsn = WriteOut();
            log.Sync(lsn);
            if (Remote is not null) await Remote.ShipRestAsync(lsn, ShipRestPatience);
            PublishHints();
        }
        catch (RecoveryException)
        {
            // The directory has it all; the next opening brings the log to it.
        }
        if (Remote is not null) await Remote.DisposeAsync();
        Files.Dispose();
        log.Dispose();
        held?.Dispose();
        stopping.Dispose();
    }
}
