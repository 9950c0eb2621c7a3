using System.Text;
using RecoveryVfs.Followed;
using RecoveryVfs.Handles;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Names;

/// <summary>
/// Which file is whose: decides for every name that SQLite opens, deletes or asks about whether it is a database of a
/// store, a journal, WAL or super-journal of ours, or nothing to do with us. The common cases (an open database's own
/// files) take one lookup.
/// </summary>
internal static class Files
{
    /// <summary>Opens a database; <paramref name="flags"/> become what it was opened with.</summary>
    public static VfsFile OpenMain(ReadOnlySpan<byte> path, ref int flags, OpenParameters parameters)
    {
        var open = OpenDatabases.Attach(path);
        if (open is null) DatabaseOpening.RestoreIfGone(path, flags, parameters);
        if (open is null && FollowedDatabases.TryOpen(path, ref flags, parameters) is { } followed) return followed;
        if (open is null && (flags & Sqlite.OpenReadOnly) != 0
            && FollowedDatabases.TryView(path, ref flags, parameters) is { } viewed)
            return viewed;
        if (open is null && ReadOnlyPlaces.WhyReadOnly(path, flags, parameters) is { } why
            && FollowedDatabases.TryView(path, ref flags, parameters, why) is { } only)
            return only;
        var database = open is not null
            ? NotExclusive(open, flags)
            : DatabaseOpening.Open(path.ToArray(), flags, parameters);
        try
        {
            var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
            if (readOnly) flags = flags & ~(Sqlite.OpenReadWrite | Sqlite.OpenCreate) | Sqlite.OpenReadOnly;
            if (open is not null && parameters.Values.Count > 0)
                StoreSettings.RequireSame(database.Store.Directory, database.Store.Options, parameters);
            var options = parameters.Values.Count == 0
                ? database.Store.Options
                : database.Store.Options.With(parameters.Values);
            if (parameters.Values.Any(v => v.Key == "journal"))
                database.PlainJournal = options.Journal == JournalPlace.Plain;
            return new MainFile(database, options, readOnly, parameters);
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
        throw new RecoveryException(RecoveryError.CannotOpen, $"{open.Path} exists already.") { Path = open.Path };
    }

    /// <summary>Opens a journal, WAL or super-journal; null when it does not exist and is not to be created.</summary>
    public static VfsFile? OpenCompanion(ReadOnlySpan<byte> path, int flags)
    {
        if ((flags & Sqlite.OpenSuperJournal) != 0) return SuperJournals.Open(path, flags);
        return (flags & Sqlite.OpenWal) != 0 ? OpenWal(path, flags) : OpenJournal(path, flags);
    }

    static RecordedFile? OpenWal(ReadOnlySpan<byte> path, int flags)
    {
        if (Companions.DatabaseOf(path, Companions.WalSuffixBytes) is not { } database)
            return OpenOfClosed(path, flags);
        var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
        lock (database.CompanionGate)
        {
            var create = (flags & Sqlite.OpenCreate) != 0 && !readOnly;
            if (database.Store.Store.OpenFile(database.Database.Name + Companions.WalSuffix, create) is not { } file)
                return null;
            database.WalOpened(file);
            OldSqlite.WarnOfWal();
            return new RecordedFile(file, readOnly, database.WalClosed);
        }
    }

    static VfsFile? OpenJournal(ReadOnlySpan<byte> path, int flags)
    {
        var create = (flags & Sqlite.OpenCreate) != 0;
        var database = Companions.DatabaseOf(path, Companions.JournalSuffixBytes);
        if (database is null)
            return IsOrphanJournal(path)
                ? create ? new PrivateJournal(Path.GetTempPath()) : null : OpenOfClosed(path, flags);
        // A journal that a crash or another connection left is opened whatever this one would create.
        if (!database.JournalExists && !create) return null;
        if (!database.JournalExists && !database.PlainJournal) return new PrivateJournal(database.Store.Directory);
        var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
        lock (database.CompanionGate)
        {
            if (database.Store.Store.OpenFile(database.Database.Name + Companions.JournalSuffix, create && !readOnly)
                is not { } file)
                return null;
            database.JournalExists = true;
            return new RecordedFile(file, readOnly, static () => { });
        }
    }

    static bool IsOrphanJournal(ReadOnlySpan<byte> path) =>
        path.EndsWith(Companions.JournalSuffixBytes)
            && OpenDatabases.IsOrphan(path[..^Companions.JournalSuffixBytes.Length]);

    /// <summary>
    /// A journal or WAL by itself, as a program that copies files opens it: its database is not open, or not there yet.
    /// </summary>
    static RecordedFile? OpenOfClosed(ReadOnlySpan<byte> path, int flags)
    {
        if (PlaceOfClosed(path) is not { } place) return null;
        var readOnly = (flags & Sqlite.OpenReadOnly) != 0;
        var store = AcquireExisting(place.Store);
        try
        {
            if (store.Store.OpenFile(place.Name, !readOnly && (flags & Sqlite.OpenCreate) != 0) is { } file)
                return new RecordedFile(file, readOnly, () => StoreRegistry.Release(store));
        }
        catch
        {
            StoreRegistry.Release(store);
            throw;
        }
        StoreRegistry.Release(store);
        return null;
    }

    /// <summary>xAccess: whether a file of ours exists; null when the name is none of ours.</summary>
    public static bool? Exists(ReadOnlySpan<byte> path)
    {
        if (PlainDatabases.OwnsCompanion(path)) return null;
        if (IsOfFollowed(path) is { } ofFollowed) return ofFollowed;
        if (Companions.DatabaseOf(path, Companions.JournalSuffixBytes) is { } journaled) return journaled.JournalExists;
        if (Companions.DatabaseOf(path, Companions.WalSuffixBytes) is { } walled)
            return walled.WalExists && !MainFile.IsThreadPinned(walled);
        if (OpenDatabases.Find(path) is { } database) return database.Database.Current.SizeBytes > 0;
        if (SuperJournals.Find(path) is not null) return true;
        return ClosedCompanion(path, static (store, name) => store.FileExists(name));
    }

    /// <summary>
    /// A followed database shows neither journal nor WAL, whatever its writer has; null for any other path.
    /// </summary>
    static bool? IsOfFollowed(ReadOnlySpan<byte> path) => FollowedDatabases.IsOpen(path) ? true
        : path.EndsWith(Companions.JournalSuffixBytes) && IsAskedByFollowed(path[..^Companions.JournalSuffix.Length])
        || path.EndsWith(Companions.WalSuffixBytes) && IsAskedByFollowed(path[..^Companions.WalSuffix.Length])
        ? false
        : null;

    /// <summary>
    /// A database may have handles of both kinds here. A pager asks for journal and WAL right after it took SHARED:
    /// what its thread locked last is who asks.
    /// </summary>
    static bool IsAskedByFollowed(ReadOnlySpan<byte> path) =>
        FollowedDatabases.IsOpen(path) && (OpenDatabases.Find(path) is null || VfsFile.LastShared is FollowedFile);

    /// <summary>xDelete: SQLite's result code, or null when the name is none of ours.</summary>
    public static int? Delete(ReadOnlySpan<byte> path, bool durable)
    {
        if (PlainDatabases.OwnsCompanion(path)) return null;
        if (Companions.DatabaseOf(path, Companions.JournalSuffixBytes) is { } journaled)
            return DeleteJournal(journaled, durable);
        if (Companions.DatabaseOf(path, Companions.WalSuffixBytes) is { } walled) return DeleteWal(walled, durable);
        if (OpenDatabases.Find(path) is { } database)
        {
            OpenDatabases.Delete(database, durable);
            DeleteCompanions(database.Store.Store, database.Database.Name, durable);
            Stub.Delete(Encoding.UTF8.GetString(path));
            return Sqlite.Ok;
        }
        if (SuperJournals.Delete(path) is { } code) return code;
        if (DatabasePath.IsText(path) && DeleteClosed(Encoding.UTF8.GetString(path), durable)) return Sqlite.Ok;
        if (IsOrphanJournal(path)) return Sqlite.Ok;
        return ClosedCompanion(path, (store, name) => store.DeleteFile(name, durable)) switch
        {
            true => Sqlite.Ok,
            false => Sqlite.IoErrDeleteNoEntry,
            null => null,
        };
    }

    /// <summary>
    /// Nobody can name a journal or WAL whose database is gone, and a new database of that name must not inherit them.
    /// </summary>
    static void DeleteCompanions(Store store, string name, bool durable)
    {
        store.DeleteFile(name + Companions.JournalSuffix, durable);
        store.DeleteFile(name + Companions.WalSuffix, durable);
    }

    static int DeleteJournal(OpenDatabase database, bool durable)
    {
        MainFile.JournalDeleted(database);
        // A private journal is gone already; SQLite fails the commit unless its deletion succeeds.
        if (!database.JournalExists) return database.PlainJournal ? Sqlite.IoErrDeleteNoEntry : Sqlite.Ok;
        lock (database.CompanionGate)
        {
            var deleted = database.Store.Store.DeleteFile(database.Database.Name + Companions.JournalSuffix, durable);
            database.JournalExists = false;
            return deleted ? Sqlite.Ok : Sqlite.IoErrDeleteNoEntry;
        }
    }

    /// <summary>
    /// A WAL that somebody has open is not deleted: a connection whose snapshot is an empty database would do so
    /// (pagerOpenWalIfPresent). SQLite's own deletion at the last close comes after it closed its handle, and ignores
    /// our answer.
    /// </summary>
    static int DeleteWal(OpenDatabase database, bool durable)
    {
        lock (database.CompanionGate)
        {
            if (database.IsWalOpen)
                return Failures.Report(Sqlite.Busy, $"The WAL of {database.Path} is in use and was not deleted.");
            if (database.Failure is { } failure) return Failures.Report(Sqlite.IoErrDelete, failure);
            if (!database.WalExists) return Sqlite.IoErrDeleteNoEntry;
            var deleted = database.Store.Store.DeleteFile(database.Database.Name + Companions.WalSuffix, durable);
            database.WalExists = false;
            return deleted ? Sqlite.Ok : Sqlite.IoErrDeleteNoEntry;
        }
    }

    /// <summary>
    /// Where a journal or WAL is whose database is not open: in the store that the database's stub names, else in the
    /// one beside it. Null when there is no such store, or the name is not a journal's or WAL's.
    /// </summary>
    static (string Store, string Name)? PlaceOfClosed(ReadOnlySpan<byte> path)
    {
        var suffix = path.EndsWith(Companions.JournalSuffixBytes)
            ? Companions.JournalSuffix : path.EndsWith(Companions.WalSuffixBytes) ? Companions.WalSuffix : null;
        if (suffix is null || !DatabasePath.IsText(path)) return null;
        var main = Encoding.UTF8.GetString(path)[..^suffix.Length];
        var stub = Stub.Read(main);
        if (stub.Content is PathContent.PlainDatabase or PathContent.Foreign
            || (stub.Content == PathContent.Stub && Options.Process.Store != stub.Store && !stub.IsBeside(main)))
            return null;
        var store = stub.Store ?? StoreHome.Beside(main);
        return Directory.Exists(store) ? (store, (stub.Database ?? Path.GetFileName(main)) + suffix) : null;
    }

    static OpenStore AcquireExisting(string directory) =>
        StoreRegistry.Acquire(directory, StoreSettings.Of(directory));

    /// <summary>
    /// Asks the store about a journal or WAL whose database is not open; null when no store could have it.
    /// </summary>
    static bool? ClosedCompanion(ReadOnlySpan<byte> path, Func<Store, string, bool> ask)
    {
        if (IsOrphanJournal(path) || PlaceOfClosed(path) is not { } place) return null;
        var store = AcquireExisting(place.Store);
        try
        {
            return ask(store.Store, place.Name);
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
        if (DatabaseOpening.StoreOf(path, stub, Options.Process) is var directory && Directory.Exists(directory))
        {
            var store = AcquireExisting(directory);
            try
            {
                if (store.Store.Find(stub.Database!) is { } database) store.Store.Delete(database, durable);
                DeleteCompanions(store.Store, stub.Database!, durable);
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
