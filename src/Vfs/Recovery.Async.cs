using RecoveryVfs.Operations;

namespace RecoveryVfs;

// What the program does to whole stores and databases: the same code, for .NET.
public static partial class Recovery
{
    /// <summary>
    /// Restores a store from a remote into a directory: the store itself goes to <c>DIRECTORY/.recovery</c>, and each
    /// database gets its file beside it. Everything is verified on the way; the store appears whole, or not at all.
    /// </summary>
    /// <param name="remote"><c>s3://bucket/prefix</c> or <c>file:///directory</c>.</param>
    /// <param name="directory">The directory for the databases; it must not hold a store.</param>
    /// <param name="options">Which state; the newest by default.</param>
    /// <param name="progress">Told what is done, from several threads.</param>
    /// <param name="cancellation">Gives up; nothing is left behind.</param>
    public static Task<RestoredState> RestoreAsync(
        string remote, string directory, RestoreOptions? options = null, IProgress<RecoveryProgress>? progress = null,
        CancellationToken cancellation = default) =>
        Restores.ToStoreAsync(remote, directory, options ?? new RestoreOptions(), progress, cancellation);

    /// <summary>
    /// Restores one database from a remote as a plain SQLite file, which any tool reads. What is at that path already
    /// is not overwritten.
    /// </summary>
    /// <param name="remote"><c>s3://bucket/prefix</c> or <c>file:///directory</c>.</param>
    /// <param name="file">The file to write.</param>
    /// <param name="options">Which state, and which database.</param>
    /// <param name="progress">Told what is done, from several threads.</param>
    /// <param name="cancellation">Gives up; nothing is left behind.</param>
    public static Task<RestoredState> RestoreFileAsync(
        string remote, string file, RestoreOptions? options = null, IProgress<RecoveryProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        // The file may be made of a store that is restored aside.
        RegisterIfNeeded();
        return Restores.ToFileAsync(remote, Path.GetFullPath(file), options
            ?? new RestoreOptions(), progress, cancellation);
    }

    /// <summary>
    /// Waits until the remote has what a store has committed by now. A store that this process or another one has open
    /// ships by itself; one that nobody has open is opened for the while and ships from here.
    /// </summary>
    /// <param name="directory">The store: its directory, or one of its databases.</param>
    /// <param name="options">The remote, and how long to wait.</param>
    /// <param name="cancellation">Gives up waiting.</param>
    public static Task<SyncResult> SyncAsync(
        string directory, SyncOptions? options = null, CancellationToken cancellation = default) =>
        StoreSync.RunAsync(StoreDirectory.Find(directory), options ?? new SyncOptions(), cancellation);

    /// <summary>Tells how a store and its remote are. Takes no lock and changes nothing.</summary>
    /// <param name="directory">The store: its directory, or one of its databases.</param>
    /// <param name="cancellation">Gives up.</param>
    public static Task<StoreStatus> StatusAsync(string directory, CancellationToken cancellation = default) =>
        StoreLook.AtAsync(StoreDirectory.Find(directory), cancellation);

    /// <summary>Tells what a remote has.</summary>
    /// <param name="remote"><c>s3://bucket/prefix</c> or <c>file:///directory</c>.</param>
    /// <param name="cancellation">Gives up.</param>
    public static Task<RemoteStatus> RemoteStatusAsync(string remote, CancellationToken cancellation = default) =>
        StoreLook.AtRemoteAsync(remote, cancellation);

    /// <summary>
    /// Names a state of a remote and keeps it restorable beyond retention. Nothing is copied. Throws Busy when the name
    /// is taken.
    /// </summary>
    /// <param name="remote">The remote's URL, or the directory of a store that has one.</param>
    /// <param name="name">The snapshot's name.</param>
    /// <param name="options">Which state, and until when.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<Snapshot> SnapshotAsync(
        string remote, string name, SnapshotOptions? options = null, CancellationToken cancellation = default)
    {
        await using var source = await RemoteAccess.OpenForWritingAsync(remote, cancellation);
        return await Snapshots.PutAsync(source, name, options ?? new SnapshotOptions(), cancellation);
    }

    /// <summary>The snapshots of a remote, and whatever else is pinned there, oldest state first.</summary>
    /// <param name="remote">The remote's URL, or the directory of a store that has one.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<IReadOnlyList<Snapshot>> SnapshotsAsync(string remote,
        CancellationToken cancellation = default)
    {
        await using var source = RemoteAccess.Open(remote);
        return await Snapshots.ListAsync(source, cancellation);
    }

    /// <summary>
    /// Removes a snapshot; collection may then take its state. Throws NotFound when there is none of that name.
    /// </summary>
    /// <param name="remote">The remote's URL, or the directory of a store that has one.</param>
    /// <param name="name">The snapshot's name.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<Snapshot> RemoveSnapshotAsync(
        string remote, string name, CancellationToken cancellation = default)
    {
        await using var source = await RemoteAccess.OpenForWritingAsync(remote, cancellation);
        return await Snapshots.RemoveAsync(source, name, cancellation);
    }

    /// <summary>
    /// Brings a plain SQLite database into a store, as <see cref="Import(string, string)"/> does, without blocking the
    /// caller. When it is cancelled, nothing is imported and the plain file is where it was.
    /// </summary>
    /// <param name="plainFile">The plain SQLite file.</param>
    /// <param name="databasePath">The path under which the database is opened afterwards.</param>
    /// <param name="progress">Told how many pages are copied.</param>
    /// <param name="cancellation">Gives up.</param>
    public static Task ImportAsync(
        string plainFile, string databasePath, IProgress<RecoveryProgress>? progress = null,
        CancellationToken cancellation = default) =>
        CopyAsync("importing", progressed => Import(plainFile, databasePath, progressed), progress, cancellation);

    /// <summary>
    /// Writes a database as a plain SQLite file, as <see cref="Export(string, string)"/> does, without blocking the
    /// caller. When it is cancelled, there is no file.
    /// </summary>
    /// <param name="databasePath">The database.</param>
    /// <param name="plainFile">The file to write.</param>
    /// <param name="progress">Told how many pages are copied.</param>
    /// <param name="cancellation">Gives up.</param>
    public static Task ExportAsync(
        string databasePath, string plainFile, IProgress<RecoveryProgress>? progress = null,
        CancellationToken cancellation = default) =>
        CopyAsync("exporting", progressed => Export(databasePath, plainFile, progressed), progress, cancellation);

    /// <summary>SQLite's backup blocks its thread, so it gets one.</summary>
    static Task CopyAsync(
        string step, Action<Action<int, int>> copy, IProgress<RecoveryProgress>? progress,
            CancellationToken cancellation) =>
        Task.Run(() => copy((done, total) =>
        {
            cancellation.ThrowIfCancellationRequested();
            progress?.Report(new RecoveryProgress(step, done, total));
        }), cancellation);

    /// <summary>
    /// Closes stores that no connection uses, as <see cref="CloseIdleStores"/> does, without blocking the caller.
    /// </summary>
    public static Task CloseIdleStoresAsync() => Task.Run(CloseIdleStores);
}
