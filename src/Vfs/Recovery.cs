using System.Text;
using RecoveryVfs.Figures;
using RecoveryVfs.Followed;
using RecoveryVfs.Functions;
using RecoveryVfs.Handles;
using RecoveryVfs.Interop;
using RecoveryVfs.Names;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Settings;
using RecoveryVfs.Statements;

namespace RecoveryVfs;

/// <summary>
/// The VFS <c>recovery</c>: register it once, then open databases with <c>file:/data/app.db?vfs=recovery</c> through
/// any SQLite library. Also what is done to whole databases: list, delete, rename, import, export.
/// </summary>
public static partial class Recovery
{
    static readonly Lock gate = new();

    /// <summary>
    /// Registers the VFS with the SQLite that SQLitePCLRaw and Microsoft.Data.Sqlite use, whichever build its provider
    /// binds. Calling it again changes the options for databases opened later. <paramref name="makeDefault"/>: also use
    /// it for names without <c>vfs=</c>.
    /// </summary>
    public static void Register(RecoveryOptions? defaults = null, bool makeDefault = false)
    {
        RegisterWith(HostLibrary.Load, defaults, makeDefault);
        HostLibrary.RequireVfs("recovery");
    }

    /// <summary>
    /// Registers the VFS with another SQLite, given as a loaded native library
    /// (<see cref="System.Runtime.InteropServices.NativeLibrary"/>).
    /// </summary>
    public static void Register(nint sqliteLibrary, RecoveryOptions? defaults = null, bool makeDefault = false) =>
        RegisterWith(() => sqliteLibrary, defaults, makeDefault);

    /// <summary>With the SQLite of SQLitePCLRaw, unless the program has chosen one already.</summary>
    static void RegisterIfNeeded()
    {
        if (!VfsEntryPoints.IsRegistered) Register();
    }

    static void RegisterWith(Func<nint> library, RecoveryOptions? defaults, bool makeDefault)
    {
        lock (gate)
        {
            if (defaults is not null || !VfsEntryPoints.IsRegistered)
                Options.Process = (defaults ?? new RecoveryOptions()).WithEnvironment();
            if (VfsEntryPoints.IsRegistered && !makeDefault) return;
            if (!VfsEntryPoints.IsRegistered) EventLog.Start();
            StartServices();
            if (!VfsEntryPoints.IsRegistered) AppDomain.CurrentDomain.ProcessExit += static (_, _) => EndWithProcess();
            VfsEntryPoints.Register(SqliteApi.FromLibrary(library()), makeDefault);
            unsafe
            {
                LastErrorFunction.Opened = static connection => RowModule.Add(VfsEntryPoints.Api, (void*)connection);
            }
            LastErrorFunction.Add(VfsEntryPoints.Api);
        }
    }

    /// <summary>From now on each store that opens is served: once a process.</summary>
    internal static void StartServices()
    {
        if (StoreRegistry.Services.Count > 0) return;
        StoreRegistry.Services.Add(SqlServer.Start);
        StoreRegistry.Services.Add(FiguresServer.Start);
    }

    /// <summary>What the last failed call of this thread said in full: which file, what happened, what to do.</summary>
    public static string LastError => Failures.Last;

    /// <summary>When that call failed; null when none of this thread has failed.</summary>
    public static DateTimeOffset? LastErrorTime => Failures.LastOnThread?.At;

    /// <summary>Closes stores that no connection uses, at once instead of after their <c>linger</c>.</summary>
    public static void CloseIdleStores()
    {
        FollowedDatabases.CloseIdle();
        StoreRegistry.CloseIdle();
    }

    /// <summary>
    /// The process exits: closes stores that no connection uses, ships what the others have committed, and no longer
    /// writes to the host's log.
    /// </summary>
    internal static void EndWithProcess()
    {
        HostSqlite.LeaveLog();
        CloseIdleStores();
        StoreRegistry.ShipBeforeExit();
    }

    /// <summary>The databases of a store: its directory, or the directory in which its <c>.recovery</c> lies.</summary>
    public static IReadOnlyList<string> Databases(string storeDirectory) =>
        FollowedDatabases.View(StoreAt(storeDirectory), StoreSettings.OfReader(StoreAt(storeDirectory)),
            static reader => reader.AllDatabases)
        ?? InStore(storeDirectory, static store => store.Databases.Select(d => d.Name).Where(n => !DeletedName.Is(n))
            .Order(StringComparer.Ordinal).ToArray());

    /// <summary>
    /// Deletes a database with its journal and WAL, durably, and the stub at its path. Connections that have it open
    /// can no longer write.
    /// </summary>
    public static void Delete(string databasePath)
    {
        var path = Path.GetFullPath(databasePath);
        var bytes = Encoding.UTF8.GetBytes(path);
        Files.Delete([.. bytes, .. Companions.JournalSuffixBytes], durable: false);
        Files.Delete([.. bytes, .. Companions.WalSuffixBytes], durable: false);
        if (Files.Delete(bytes, durable: true) is null)
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no RecoveryVfs database at {path}.")
            { Path = path };
    }

    /// <summary>
    /// Brings a database back whose file was removed (rm, EF Core's EnsureDeleted), the one that was deleted last of
    /// that name: to its path, or to another one in the same directory. A store keeps them for as long as
    /// <c>retention</c> says.
    /// </summary>
    public static void Undelete(string databasePath, string? newPath = null)
    {
        var (from, to) = (Path.GetFullPath(databasePath), Path.GetFullPath(newPath ?? databasePath));
        if (Stub.Read(to).Content is not (PathContent.Missing or PathContent.Empty))
            throw new RecoveryException(RecoveryError.Invalid,
            $"{to} exists already.",
            "Bring it back under another name.")
            { Path = to };
        var store = DatabaseOpening.StoreOf(from, new Stub(PathContent.Missing, null, null), Options.Process);
        if (OpenDatabases.Find(Encoding.UTF8.GetBytes(from)) is not null)
            throw new RecoveryException(RecoveryError.Busy,
                $"{from} is open in this process, whose connections still have what was at that path. Close them "
                    + "first.");
        InStore(store, opened =>
        {
            // Nobody has opened the path since its file went: it is set aside only now.
            if (opened.Find(Path.GetFileName(from)) is { Current.SizeBytes: > 0 } unnoticed
                && Stub.Read(from).Content is PathContent.Missing or PathContent.Empty)
                DeletedDatabases.SetAside(opened, unnoticed, Options.Process.Time.GetUtcNow());
            DeletedDatabases.BringBack(opened, Path.GetFileName(from), Path.GetFileName(to));
            if (Stub.Write(to, store, Path.GetFileName(to)))
                PlacedStubs.Add(store, opened.Find(Path.GetFileName(to))!.Id, to);
            return true;
        });
    }

    /// <summary>
    /// Moves a database to another name in the same store. It must not be open, and must have no WAL (close it cleanly
    /// first).
    /// </summary>
    public static void Rename(string databasePath, string newPath)
    {
        var (from, to) = (Path.GetFullPath(databasePath), Path.GetFullPath(newPath));
        if (OpenDatabases.Find(Encoding.UTF8.GetBytes(from)) is not null)
            throw new RecoveryException(RecoveryError.Busy,
                $"{from} is open in this process.",
                "Close its connections before renaming it.")
            { Path = from };
        var stub = Stub.Read(from);
        if (stub.Content != PathContent.Stub) throw new RecoveryException(RecoveryError.NotFound,
            $"There is no RecoveryVfs database at {from}.")
        { Path = from };
        if (Stub.Read(to).Content != PathContent.Missing) throw new RecoveryException(RecoveryError.Invalid,
            $"{to} exists already.")
        { Path = to };
        InStore(DatabaseOpening.StoreOf(from, stub, Options.Process), store =>
        {
            var name = Path.GetFileName(to);
            var database = store.Find(stub.Database!)
                ?? throw new RecoveryException(RecoveryError.NotFound,
                    $"The store {stub.Store} has no database {stub.Database}.");
            if (store.Find(name) is not null)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"The store {stub.Store} has a database {name} already.");
            if (store.FileExists(stub.Database + Companions.WalSuffix)
                || store.FileExists(stub.Database + Companions.JournalSuffix))
                throw new RecoveryException(RecoveryError.Busy,
                    $"{from} has a WAL or journal.",
                    "Open it once and close it cleanly before renaming it.")
                { Path = from };
            store.Rename(database, name);
            store.Sync();
            Stub.Write(to, stub.Store!, name);
            Stub.Delete(from);
            return true;
        });
    }

    /// <summary>
    /// Brings a plain SQLite database into a store, under the path given, with SQLite's own backup (a hot journal or
    /// WAL of the plain database is taken into account). The plain file is left as it is; when the paths are the same
    /// it is kept beside, as
    /// <c>NAME.plain</c>. A database that is there already is not overwritten.
    /// </summary>
    public static void Import(string plainFile, string databasePath) => Import(plainFile, databasePath, null);

    /// <summary>The same, for whoever watches: pages done so far, and all there are.</summary>
    internal static void Import(string plainFile, string databasePath, Action<int, int>? progressed)
    {
        RegisterIfNeeded();
        var (from, to) = (Path.GetFullPath(plainFile), Path.GetFullPath(databasePath));
        if (Stub.Read(from).Content != PathContent.PlainDatabase)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{from} is not a plain SQLite database.")
            { Path = from };
        var isInPlace = from == to;
        if (isInPlace) from = SetAside(from);
        else if (Stub.Read(to).Content is not (PathContent.Missing or PathContent.Empty))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{to} exists already.",
                "Delete it first, or choose another name.")
            { Path = to };
        try
        {
            DatabaseCopy.Import(from, to, progressed);
        }
        catch (OperationCanceledException)
        {
            // What was there before is there again: nothing, or the plain file.
            if (Stub.Read(to).Content == PathContent.Stub) Delete(to);
            if (isInPlace) BringBack(from, to);
            throw;
        }
    }

    static void BringBack(string aside, string path)
    {
        File.Move(aside, path);
        foreach (var suffix in JournalSuffixes)
            if (File.Exists(aside + suffix)) File.Move(aside + suffix, path + suffix);
    }

    static readonly string[] JournalSuffixes = ["-journal", "-wal", "-shm"];

    static string SetAside(string path)
    {
        var aside = path + ".plain";
        if (File.Exists(aside)) throw new RecoveryException(RecoveryError.Invalid,
            $"{aside} exists already.",
            "Move it away first.")
        { Path = aside };
        foreach (var suffix in JournalSuffixes)
            if (File.Exists(path + suffix)) File.Move(path + suffix, aside + suffix);
        File.Move(path, aside);
        return aside;
    }

    /// <summary>
    /// Writes a database as a plain SQLite file that any tool reads. Readers and writers go on meanwhile, in this
    /// process and others.
    /// </summary>
    public static void Export(string databasePath, string plainFile)
        => Export(databasePath, plainFile, progressed: null);

    static void Export(string databasePath, string plainFile, Action<int, int>? progressed)
    {
        var from = Path.GetFullPath(databasePath);
        if (Stub.Read(from) is not { Content: PathContent.Stub } stub)
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no RecoveryVfs database at {from}.")
            { Path = from };
        RegisterIfNeeded();
        DatabaseCopy.Export(from, DatabaseOpening.StoreOf(from, stub, Options.Process), plainFile, progressed);
    }

    static string StoreAt(string directory)
    {
        var store = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        if (Path.GetFileName(store) != StoreHome.Name && Directory.Exists(Path.Combine(store, StoreHome.Name)))
            store = Path.Combine(store, StoreHome.Name);
        return Directory.Exists(store)
            ? store
            : throw new RecoveryException(RecoveryError.NotFound, $"There is no store at {store}.");
    }

    static T InStore<T>(string directory, Func<Store, T> action)
    {
        var store = StoreAt(directory);
        var open = StoreRegistry.Acquire(store, StoreSettings.Of(store));
        try
        {
            return action(open.Store);
        }
        finally
        {
            StoreRegistry.Release(open);
        }
    }
}
