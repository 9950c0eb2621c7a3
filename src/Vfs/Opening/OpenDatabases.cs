using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.Opening;

/// <summary>The databases that have handles in this process, by the paths that lead to them.</summary>
internal static class OpenDatabases
{
    static readonly Lock gate = new();
    static readonly System.Collections.Concurrent.ConcurrentDictionary<byte[],
        OpenDatabase> byPath = new(PathKeys.Comparer);
    static readonly System.Collections.Concurrent.ConcurrentDictionary<byte[],
        OpenDatabase>.AlternateLookup<ReadOnlySpan<byte>> byPathBytes =
            byPath.GetAlternateLookup<ReadOnlySpan<byte>>();

    // Paths of databases that were deleted under their handles, as long as those are open.
    static readonly List<(OpenDatabase Database, byte[] Path)> orphans = [];
    static volatile int orphanCount;

    /// <summary>
    /// Whether a database of that path was deleted under handles that are still open: their journals have no name any
    /// more.
    /// </summary>
    public static bool IsOrphan(ReadOnlySpan<byte> path)
    {
        if (orphanCount == 0) return false;
        lock (gate)
        {
            foreach (var (_, each) in orphans)
                if (path.SequenceEqual(each)) return true;
            return false;
        }
    }

    /// <summary>The open database at a path, or null. Takes no lock and allocates nothing.</summary>
    public static OpenDatabase? Find(ReadOnlySpan<byte> path) => byPathBytes.TryGetValue(path, out var found)
        ? found
        : null;

    /// <summary>Where the stub of a database of a store lies that has handles; null when it has none.</summary>
    public static string? PathOf(OpenStore store, string name)
    {
        lock (gate) return store.OpenDatabases.TryGetValue(name, out var found) ? found.Path : null;
    }

    /// <summary>One more handle on the database at a path that is open already; null when it is not.</summary>
    public static OpenDatabase? Attach(ReadOnlySpan<byte> path)
    {
        lock (gate)
        {
            if (Find(path) is not { } found) return null;
            found.Handles++;
            return found;
        }
    }

    /// <summary>
    /// One more handle on a database, which may be open by this path or another. <paramref name="open"/> finds or
    /// creates it in the store; the caller's reference to the store passes to it, or is given back when the database
    /// was open already.
    /// </summary>
    public static OpenDatabase Attach(byte[] path, OpenStore store, string name, Func<OpenDatabase> open)
    {
        lock (gate)
        {
            var surplus = true;
            if (Find(path) is not { } found && !store.OpenDatabases.TryGetValue(name, out found!))
            {
                found = open();
                surplus = false;
                store.OpenDatabases.Add(name, found);
            }
            if (surplus) StoreRegistry.Release(store);
            if (byPath.TryAdd(path, found)) found.Keys.Add(path);
            found.Handles++;
            return found;
        }
    }

    /// <summary>One handle less; the last one lets go of the store.</summary>
    public static void Detach(OpenDatabase database)
    {
        lock (gate)
        {
            if (--database.Handles > 0) return;
            Forget(database);
            orphans.RemoveAll(o => ReferenceEquals(o.Database, database));
            orphanCount = orphans.Count;
        }
        StoreRegistry.Release(database.Store);
    }

    /// <summary>
    /// Deletes a database under its handles, as a file is unlinked: they keep what they have pinned, the name is free
    /// again.
    /// </summary>
    public static void Delete(OpenDatabase database, bool durable)
    {
        lock (gate)
        {
            foreach (var key in database.Keys) orphans.Add((database, key));
            orphanCount = orphans.Count;
            Forget(database);
            database.Store.Store.Delete(database.Database, durable);
        }
    }

    static void Forget(OpenDatabase database)
    {
        foreach (var key in database.Keys) byPath.TryRemove(KeyValuePair.Create(key, database));
        database.Keys.Clear();
        if (database.Store.OpenDatabases.TryGetValue(database.Database.Name, out var same)
            && ReferenceEquals(same, database))
            database.Store.OpenDatabases.Remove(database.Database.Name);
    }
}
