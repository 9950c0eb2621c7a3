using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Opening;

/// <summary>
/// Opens a database that no handle of this process has open: looks at its path, opens the store, finds or creates it.
/// </summary>
internal static class DatabaseOpening
{
    public static OpenDatabase Open(byte[] key, int flags, OpenParameters parameters)
    {
        var path = DatabasePath.Of(key);
        var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
        var create = (flags & Sqlite.OpenCreate) != 0 && !readOnly;
        var stub = Look(path, flags);
        var directory = StoreOf(path, stub, Options.Process.With(parameters.Values));
        var created = false;
        if (stub.Content == PathContent.Missing)
        {
            if (!create && !Directory.Exists(directory)) throw Missing(path);
            if (create) created = CreateEmpty(path);
        }
        try
        {
            var options = StoreSettings.Of(directory, parameters);
            if (create && stub.Content != PathContent.Stub || Directory.Exists(directory))
                StorePrivacy.Ensure(directory, path);
            var store = Acquire(directory, stub, options, parameters);
            try
            {
                return OpenDatabases.Attach(key, store, stub.Database
                    ?? Path.GetFileName(path), () => FindOrCreate(store, path, stub, flags, options));
            }
            catch
            {
                StoreRegistry.Release(store);
                throw;
            }
        }
        catch when (created)
        {
            File.Delete(path);
            throw;
        }
    }

    static Stub Look(string path, int flags)
    {
        var stub = Stub.Read(path);
        switch (stub.Content)
        {
            case PathContent.PlainDatabase:
                throw new RecoveryException(RecoveryError.CannotOpen,
                    $"{path} is a plain SQLite database, and was left as it is.",
                    $"Import it with Recovery.Import or `recovery import {path}`, or open it without vfs=recovery.")
                { Path = path };
            case PathContent.Foreign when stub.Kind is { } kind:
                throw new RecoveryException(RecoveryError.CannotOpen,
                    $"{path} is {kind}, not a file, and was left as it is.",
                    "Choose another name.")
                { Path = path };
            case PathContent.Foreign:
                throw new RecoveryException(RecoveryError.CannotOpen,
                    $"{path} is neither a RecoveryVfs database nor empty, and was left as it is.",
                    "Choose another name.")
                { Path = path };
            case PathContent.Stub:
                Trust.RequireUnwritable(path, stub.Node!.Value);
                break;
        }
        switch (stub.Content)
        {
            case not PathContent.Missing when (flags & Sqlite.OpenExclusive) != 0 && (flags & Sqlite.OpenCreate) != 0:
                throw new RecoveryException(RecoveryError.CannotOpen, $"{path} exists already.") { Path = path };
        }
        return stub;
    }

    /// <summary>
    /// The store that a path leads to. A stub is a file like any other, and may come from anybody: it leads out of its
    /// own directory only where the URI, the program or its environment says so, too.
    /// </summary>
    public static string StoreOf(string path, Stub stub, RecoveryOptions options)
    {
        var wanted = options.Store is { } store ? Path.TrimEndingDirectorySeparator(Path.GetFullPath(store)) : null;
        if (stub.Store is not { } actual) return wanted ?? StoreHome.Beside(path);
        if (wanted is not null && wanted != actual)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is in the store {actual}, not in {wanted}.",
                "Leave store= out, or export and import it.")
            { Path = path };
        if (wanted is null && !stub.IsBeside(path))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} says that it is in the store {actual}, outside of its own directory, "
                + "and is not believed alone.",
                $"If it is right, say so: store={actual} (or RECOVERY_STORE).")
            { Path = path };
        return actual;
    }

    static bool CreateEmpty(string path)
    {
        try
        {
            return FilePlacing.TryCreateEmpty(path);
        }
        catch (RecoveryException e)
        {
            throw new RecoveryException(RecoveryError.CannotOpen, e.Message, e);
        }
    }

    static readonly Lock restoring = new();

    /// <summary>
    /// With <c>auto-restore</c>, and before anything is looked for: brings a store back whose directory is gone, with a
    /// stub for each of its databases, however the database is to be opened. A program's first look is often one that
    /// only reads.
    /// </summary>
    public static void RestoreIfGone(ReadOnlySpan<byte> key, int flags, OpenParameters parameters)
    {
        if (!Options.Process.AutoRestore && parameters.Value("auto-restore") is null) return;
        var path = DatabasePath.Of(key);
        var asked = Options.Process.With(parameters.Values);
        if (!asked.AutoRestore || Stub.Read(path)
            is not { Content: not (PathContent.PlainDatabase or PathContent.Foreign) } stub)
            return;
        var directory = StoreOf(path, stub, asked);
        lock (restoring)
        {
            if (StoreRegistry.IsOpen(directory)) return;
            // Who only reads may do so beside a writer, in another process, which needs all of it here.
            var restored = StoreRestore.RestoreIfGone(
                StoreSettings.Of(directory, parameters).ToStoreOptions(directory),
                asked.AutoRestoreLazily && (flags & Sqlite.OpenReadOnly) == 0);
            if (restored is null)
            {
                // A new application on an empty disk finds the directory that it was told.
                if ((flags & Sqlite.OpenCreate) != 0) LocalDisk.Instance.CreateDirectory(Path.GetDirectoryName(path)!);
                return;
            }
            EventLog.Write(EventLevel.Info, "RESTORED",
                $"Restored the store {directory} from its remote, at LSN {restored.Lsn}: it was gone."
                    + (new StoreHome(directory).IsLazy ? " What is not here yet is fetched when it is read." : ""));
            foreach (var name in restored.Databases)
                if (Path.Combine(Path.GetDirectoryName(directory)!, Path.GetFileName(name)) is var place
                    && Stub.Read(place).Content is PathContent.Missing or PathContent.Empty)
                    Stub.Write(place, directory, name);
        }
    }

    static OpenStore Acquire(string directory, Stub stub, RecoveryOptions options, OpenParameters parameters)
    {
        if (stub.Content == PathContent.Stub && !Directory.Exists(directory))
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"The database {stub.Database} is in the store {directory}, which does not exist.",
                "Bring the store back, or restore it.")
            { Path = directory };
        return StoreRegistry.Acquire(directory, options,
            open => StoreSettings.RequireSame(directory, open.Options, parameters));
    }

    static OpenDatabase FindOrCreate(OpenStore store, string path, Stub stub, int flags, RecoveryOptions options)
    {
        var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
        var create = (flags & Sqlite.OpenCreate) != 0 && !readOnly;
        var name = stub.Database ?? Path.GetFileName(path);
        var database = store.Store.Find(name);
        if (database is { Current.SizeBytes: > 0 } && stub.Content == PathContent.Missing
            && PlacedStubs.Has(store.Directory, database.Id, path))
        {
            // Its stub was in place and somebody has removed it: the database was deleted. Who does not create finds
            // nothing.
            if (!create) throw Missing(path);
            DeletedDatabases.SetAside(store.Store, database, options.Time.GetUtcNow());
            database = null;
        }
        if (database is null or { Current.SizeBytes: 0 } && stub.Content == PathContent.Missing && !create)
            throw Missing(path);
        if (database is null)
        {
            if (stub.Content == PathContent.Stub)
                throw Lost(path, name, store.Directory);
            if (readOnly) throw Missing(path);
            DeletedDatabases.DropCompanions(store.Store, name);
            database = store.Store.Create(name);
        }
        var stubMissing = stub.Content != PathContent.Stub && database.Current.SizeBytes > 0;
        if (stubMissing)
        {
            // Somebody deleted the stub, or a crash came before it: the database is what counts.
            if (Stub.Write(path, store.Directory, name)) PlacedStubs.Add(store.Directory, database.Id, path);
        }
        return new OpenDatabase(store, database, path, options.Journal == JournalPlace.Plain)
        {
            StubWritten = stub.Content == PathContent.Stub || stubMissing,
        };
    }

    /// <summary>The stub knows a database that the store does not.</summary>
    public static RecoveryException Lost(string path, string name, string store) => new(RecoveryError.CannotOpen,
        $"{path} says that it is the database {name} of the store {store}, but the store does not have it.",
        $"Delete {path} to start anew, or restore the store.")
    { Path = path };

    /// <summary>There is nothing at a path.</summary>
    public static RecoveryException Missing(string path) => new(RecoveryError.CannotOpen,
        $"There is no database at {path}.")
    { Path = path };
}
