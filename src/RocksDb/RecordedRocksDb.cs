using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RocksDb.Binding;
using RocksDbSharp;
using Database = RocksDbSharp.RocksDb;

namespace RecoveryVfs.RocksDb;

/// <summary>
/// A RocksDB whose files are recorded: every change of them goes, in order, into a recovery log in
/// <c>.recovery</c> of its directory, and from there to a remote. <c>recovery restore URL DIR</c> brings it back as a
/// directory that any RocksDB opens.
/// </summary>
public sealed partial class RecordedRocksDb : IAsyncDisposable, IDisposable
{
    readonly RecordedDirectory directory;
    readonly RecordedRocksDbOptions options;
    bool disposed;

    RecordedRocksDb(RecordedDirectory directory, RecordedRocksDbOptions options, Database db)
    {
        (this.directory, this.options, Db) = (directory, options, db);
        AnyRocksDb.Opened(db.Handle);
    }

    /// <summary>The RocksDB, to be used as always. It is closed by this object.</summary>
    public Database Db { get; }

    /// <summary>Its directory.</summary>
    public string Path => directory.Path;

    /// <summary>Where the log goes; null when it goes nowhere.</summary>
    public string? Remote => directory.Remote?.Log.Url;

    /// <summary>The newest LSN that the remote is known to have; 0 without one.</summary>
    public ulong ShippedLsn => directory.Remote?.ShippedLsn ?? 0;

    /// <summary>Its file system, which tests have fail.</summary>
    internal RecordedFiles Files => directory.Files;

    /// <summary>
    /// Has RocksDbSharp use the RocksDB that this package brings. To be called before anything of RocksDbSharp is used,
    /// options included.
    /// </summary>
    public static void Prepare() => OurRocksDb.Bind();

    /// <summary>
    /// Opens a RocksDB, new or not, recorded or not until now. One process writes a directory at a time. The options
    /// get an environment of ours, and cannot be used for another RocksDB.
    /// </summary>
    public static RecordedRocksDb Open(DbOptions options, string path, RecordedRocksDbOptions? recorded = null) =>
        Open(options, path, recorded, full => Database.Open(options, full));

    /// <summary>The same with column families.</summary>
    public static RecordedRocksDb Open(DbOptions options, string path, ColumnFamilies families,
        RecordedRocksDbOptions? recorded = null) =>
        Open(options, path, recorded, full => Database.Open(options, full, families));

    /// <summary>
    /// Starts to follow the RocksDB whose remote this is, into a directory of its own: an empty one, or that of a
    /// follower of the same remote, which goes on where it stopped.
    /// </summary>
    public static Task<FollowedRocksDb> FollowAsync(string url, string path, FollowedRocksDbOptions? followed = null,
        CancellationToken cancellation = default) =>
        FollowedRocksDb.StartAsync(url, path, followed, cancellation);

    static RecordedRocksDb Open(DbOptions options, string path, RecordedRocksDbOptions? recorded,
        Func<string, Database> open)
    {
        recorded ??= new RecordedRocksDbOptions();
        OurRocksDb.Bind();
        // As RocksDB itself names its files.
        var full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        Directory.CreateDirectory(full);
        var directory = SettingsOf(recorded).Open(full);
        try
        {
            AnyRocksDb.Record(directory.Files, options.Handle);
            return new RecordedRocksDb(directory, recorded, open(full));
        }
        catch (Exception e)
        {
            directory.DisposeAsync().AsTask().GetAwaiter().GetResult();
            // RocksDB only says that the recorder said no.
            if (directory.Files.Refusal is RecoveryException why)
                throw new RecoveryException(why.Error, $"{full} was not opened: {why.Message}", e);
            throw;
        }
    }

    static RecordedSettings SettingsOf(RecordedRocksDbOptions recorded) => new()
    {
        Remote = recorded.Remote,
        WaitsForRemote = recorded.Durability == RecordedDurability.Remote,
        SyncInterval = recorded.SyncInterval,
        Retention = recorded.Retention,
        HintsBytes = recorded.HintsBytes,
        HintsInterval = recorded.HintsInterval,
        MaxLocalLogBytes = recorded.MaxLocalLogBytes,
        Alarm = recorded.Alarm,
    };

    /// <summary>
    /// Syncs the write-ahead log, and completes when everything that was written before can be restored from the
    /// remote. What was written without a write-ahead log is there once it was flushed.
    /// </summary>
    public async Task SyncAsync(CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        try
        {
            await Task.Run(() => RocksDbSharp.Native.Instance.rocksdb_flush_wal(Db.Handle, 1), cancellation);
        }
        catch (RocksDbException e) when (directory.Files.Refusal is RecoveryException why)
        {
            // RocksDB only says that the recorder said no.
            throw new RecoveryException(why.Error, $"{Path} was not synced: {why.Message}", e) { Path = Path };
        }
        await directory.SyncAsync(options.SyncPatience, cancellation);
    }

    /// <summary>Closes the RocksDB, and ships what is left, if the remote can be reached.</summary>
    public async ValueTask DisposeAsync()
    {
        if (disposed) return;
        disposed = true;
        AnyRocksDb.Closing(Db.Handle);
        Db.Dispose();
        await directory.DisposeAsync();
    }

    /// <summary>The same for who cannot wait asynchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();
}
