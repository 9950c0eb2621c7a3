using RecoveryVfs.Handles;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Opening;

/// <summary>
/// Databases whose stub somebody has removed: set aside under another name in their store, brought back, and let go
/// after the retention.
/// </summary>
internal static class DeletedDatabases
{
    const int CopyBytes = 1 << 20;

    /// <summary>Frees a database's name; its pages, and its WAL or journal, are kept.</summary>
    public static void SetAside(Store store, Database database, DateTimeOffset now)
    {
        var name = database.Name;
        var aside = new DeletedName(now, name).ToString();
        Move(store, database, aside);
        EventLog.Write(EventLevel.Info, "DELETED",
            $"The file at {name}'s path is gone, so the database counts as deleted. It is kept in {store.Directory}: "
                + "recovery undelete.");
    }

    /// <summary>
    /// Brings back the one that was deleted last, under its own name or another; throws when there is none, or the name
    /// is taken.
    /// </summary>
    public static void BringBack(Store store, string name, string newName)
    {
        var found = store.Databases.Where(d => DeletedName.Parse(d.Name)?.Name == name)
            .MaxBy(d => DeletedName.Parse(d.Name)!.Value.At)
            ?? throw new RecoveryException(RecoveryError.NotFound,
                $"The store {store.Directory} has no deleted database {name}. `recovery databases --deleted` "
                + "lists those there are.")
            { Path = store.Directory };
        if (store.Find(newName) is { Current.SizeBytes: > 0 })
            throw new RecoveryException(RecoveryError.Invalid,
                $"There is a database {newName} in {store.Directory} again.",
                "Bring the deleted one back under another name: --as NAME.")
            { Path = store.Directory };
        if (store.Find(newName) is { } empty) store.Delete(empty, durable: false);
        Move(store, found, newName);
    }

    /// <summary>Deletes those whose time is up.</summary>
    public static void LetGo(Store store, TimeSpan retention, DateTimeOffset now)
    {
        foreach (var database in store.Databases)
        {
            if (DeletedName.Parse(database.Name) is not { } deleted || now - deleted.At < retention) continue;
            try
            {
                store.Delete(database, durable: false);
                DropCompanions(store, database.Name);
            }
            catch (RecoveryException)
            {
                // A store that takes no writes can still be read; they go when it takes some again.
                return;
            }
        }
    }

    /// <summary>A database must not inherit the journal or WAL of another that had its name.</summary>
    public static void DropCompanions(Store store, string name)
    {
        foreach (var suffix in (string[])[Companions.JournalSuffix, Companions.WalSuffix])
            if (store.FileExists(name + suffix)) store.DeleteFile(name + suffix, durable: false);
    }

    /// <remarks>The copies first: a crash leaves the database with one of its names and everything that belongs to it.
    /// What stays under the old one is dropped by whoever takes that name.</remarks>
    static void Move(Store store, Database database, string name)
    {
        var old = database.Name;
        DropCompanions(store, name);
        foreach (var suffix in (string[])[Companions.JournalSuffix, Companions.WalSuffix])
            Copy(store, old + suffix, name + suffix);
        store.Rename(database, name);
        store.Sync();
        DropCompanions(store, old);
    }

    static void Copy(Store store, string from, string to)
    {
        if (!store.FileExists(from)) return;
        using var source = store.OpenFile(from, create: false)!;
        using var target = store.OpenFile(to, create: true)!;
        var buffer = new byte[CopyBytes];
        for (var at = 0L; source.Read(at, buffer) is var count and > 0; at += count)
            target.Write(at, buffer.AsSpan(0, count));
        target.LogCommit();
        target.Sync();
    }
}
