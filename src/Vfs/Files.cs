using System.Text;
using RecoveryVfs.PageStore;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>
/// Which file is whose: decides for every name that SQLite opens, deletes or asks about whether it is a database of a store, a
/// journal, WAL or super-journal of ours, or nothing to do with us. The common cases (an open database's own files) take one lookup.
/// </summary>
internal static class Files
{
    public const string JournalSuffix = "-journal", WalSuffix = "-wal";

    public static ReadOnlySpan<byte> JournalSuffixBytes => "-journal"u8;

    public static ReadOnlySpan<byte> WalSuffixBytes => "-wal"u8;

    /// <summary>Opens a database; <paramref name="flags"/> become what it was opened with.</summary>
    public static MainFile OpenMain(ReadOnlySpan<byte> path, ref int flags, OpenParameters parameters)
    {
        var database = OpenDatabases.Attach(path) is { } open ? NotExclusive(open, flags) : DatabaseOpening.Open(path.ToArray(), flags, parameters);
        try
        {
            var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
            if (readOnly) flags = flags & ~(Sqlite.OpenReadWrite | Sqlite.OpenCreate) | Sqlite.OpenReadOnly;
            var options = parameters.Values.Count == 0 ? database.Store.Options : database.Store.Options.With(parameters.Values);
            if (parameters.Values.Any(v => v.Key == "journal")) database.PlainJournal = options.Journal == JournalPlace.Plain;
            return new MainFile(database, options.Isolation, readOnly, parameters);
        }
        catch
        {
            OpenDatabases.Detach(database);
            throw;
        }
    }

    static OpenDatabase NotExclusive(OpenDatabase open, int flags)
    {
        if ((flags & Sqlite.OpenExclusive) == 0 || (flags & Sqlite.OpenCreate) == 0) return open;
        OpenDatabases.Detach(open);
        throw new RecoveryException(RecoveryError.CannotOpen, $"{open.Path} exists already.");
    }

    /// <summary>Opens a journal, WAL or super-journal; null when it does not exist and is not to be created.</summary>
    public static VfsFile? OpenCompanion(ReadOnlySpan<byte> path, int flags)
    {
        if ((flags & Sqlite.OpenSuperJournal) != 0) return SuperJournals.Open(path, flags);
        return (flags & Sqlite.OpenWal) != 0 ? OpenWal(path, flags) : OpenJournal(path, flags);
    }

    static RecordedFile? OpenWal(ReadOnlySpan<byte> path, int flags)
    {
        if (DatabaseOf(path, WalSuffixBytes) is not { } database) return null;
        var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
        lock (database.WalGate)
        {
            var create = (flags & Sqlite.OpenCreate) != 0 && !readOnly;
            if (database.Store.Store.OpenFile(database.Database.Name + WalSuffix, create) is not { } file) return null;
            database.WalOpened();
            return new RecordedFile(database, file, isWal: true, readOnly);
        }
    }

    static VfsFile? OpenJournal(ReadOnlySpan<byte> path, int flags)
    {
        var create = (flags & Sqlite.OpenCreate) != 0;
        var database = DatabaseOf(path, JournalSuffixBytes);
        // A database that was deleted under its handles has no name for a plain journal any more.
        if (database is null) return create ? new PrivateJournal(Path.GetTempPath()) : null;
        // A journal that a crash or another connection left is opened whatever this one would create.
        if (!database.JournalExists && !create) return null;
        if (!database.JournalExists && !database.PlainJournal) return new PrivateJournal(database.Store.Directory);
        var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
        if (database.Store.Store.OpenFile(database.Database.Name + JournalSuffix, create && !readOnly) is not { } file) return null;
        database.JournalExists = true;
        return new RecordedFile(database, file, isWal: false, readOnly);
    }

    /// <summary>xAccess: whether a file of ours exists; null when the name is none of ours.</summary>
    public static bool? Exists(ReadOnlySpan<byte> path)
    {
        if (DatabaseOf(path, JournalSuffixBytes) is { } journaled) return journaled.JournalExists;
        if (DatabaseOf(path, WalSuffixBytes) is { } walled) return walled.WalExists && !MainFile.IsThreadPinned(walled);
        if (OpenDatabases.Find(path) is { } database) return database.Database.Current.SizeBytes > 0;
        if (SuperJournals.Find(path) is not null) return true;
        return ClosedCompanion(path, static (store, name) => store.FileExists(name));
    }

    /// <summary>xDelete: SQLite's result code, or null when the name is none of ours.</summary>
    public static int? Delete(ReadOnlySpan<byte> path, bool durable)
    {
        if (DatabaseOf(path, JournalSuffixBytes) is { } journaled) return DeleteJournal(journaled, durable);
        if (DatabaseOf(path, WalSuffixBytes) is { } walled) return DeleteWal(walled, durable);
        if (OpenDatabases.Find(path) is { } database)
        {
            OpenDatabases.Delete(database, durable);
            Stub.Delete(Encoding.UTF8.GetString(path));
            return Sqlite.Ok;
        }
        if (SuperJournals.Delete(path) is { } code) return code;
        if (DeleteClosed(Encoding.UTF8.GetString(path), durable)) return Sqlite.Ok;
        return ClosedCompanion(path, (store, name) => store.DeleteFile(name, durable)) switch
        {
            true => Sqlite.Ok,
            false => Sqlite.IoErrDeleteNoEntry,
            null => null,
        };
    }

    static int DeleteJournal(OpenDatabase database, bool durable)
    {
        // A private journal is gone already; SQLite fails the commit unless its deletion succeeds.
        if (!database.JournalExists) return database.PlainJournal ? Sqlite.IoErrDeleteNoEntry : Sqlite.Ok;
        database.JournalExists = false;
        return database.Store.Store.DeleteFile(database.Database.Name + JournalSuffix, durable) ? Sqlite.Ok : Sqlite.IoErrDeleteNoEntry;
    }

    /// <summary>
    /// A WAL that somebody has open is not deleted: a connection whose snapshot is an empty database would do so
    /// (pagerOpenWalIfPresent). SQLite's own deletion at the last close comes after it closed its handle, and ignores our answer.
    /// </summary>
    static int DeleteWal(OpenDatabase database, bool durable)
    {
        lock (database.WalGate)
        {
            if (database.IsWalOpen) return Failures.Report(Sqlite.Busy, $"The WAL of {database.Path} is in use and was not deleted.");
            if (!database.WalExists) return Sqlite.IoErrDeleteNoEntry;
            database.WalExists = false;
            return database.Store.Store.DeleteFile(database.Database.Name + WalSuffix, durable) ? Sqlite.Ok : Sqlite.IoErrDeleteNoEntry;
        }
    }

    /// <summary>The open database whose path is this one without a suffix, or null.</summary>
    public static OpenDatabase? DatabaseOf(ReadOnlySpan<byte> path, ReadOnlySpan<byte> suffix) =>
        path.EndsWith(suffix) ? OpenDatabases.Find(path[..^suffix.Length]) : null;

    /// <summary>Asks the store about a journal or WAL whose database is not open; null when there is no database at that path.</summary>
    static bool? ClosedCompanion(ReadOnlySpan<byte> path, Func<Store, string, bool> ask)
    {
        var suffix = path.EndsWith(JournalSuffixBytes) ? JournalSuffix : path.EndsWith(WalSuffixBytes) ? WalSuffix : null;
        if (suffix is null) return null;
        var main = Encoding.UTF8.GetString(path)[..^suffix.Length];
        var stub = Stub.Read(main);
        if (stub.Content != PathContent.Stub || !Directory.Exists(stub.Store)) return null;
        var store = StoreRegistry.Acquire(stub.Store, Options.Process.With(Options.FromConfig(stub.Store)));
        try
        {
            return ask(store.Store, stub.Database + suffix);
        }
        finally
        {
            StoreRegistry.Release(store);
        }
    }

    /// <summary>Deletes a database that is not open, with its stub; false when there is none at that path.</summary>
    public static bool DeleteClosed(string path, bool durable)
    {
        var stub = Stub.Read(path);
        if (stub.Content != PathContent.Stub) return false;
        if (Directory.Exists(stub.Store))
        {
            var store = StoreRegistry.Acquire(stub.Store, Options.Process.With(Options.FromConfig(stub.Store)));
            try
            {
                if (store.Store.Find(stub.Database!) is { } database) store.Store.Delete(database, durable);
            }
            finally
            {
                StoreRegistry.Release(store);
            }
        }
        Stub.Delete(path);
        return true;
    }
}
