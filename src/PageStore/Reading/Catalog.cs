using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>The databases of a store, by name and by id. Ids are never used again. Thread-safe.</summary>
internal sealed class Catalog(string directory, PageReader reader)
{
    readonly Lock gate = new();
    readonly Dictionary<string, Database> byName = new(StringComparer.Ordinal);
    readonly Dictionary<uint, Database> byId = [];
    uint nextId = 1;

    public Database? Find(string name)
    {
        lock (gate) return byName.GetValueOrDefault(name);
    }

    public Database? Find(uint id)
    {
        lock (gate) return byId.GetValueOrDefault(id);
    }

    public IReadOnlyList<Database> All
    {
        get { lock (gate) return [.. byName.Values.OrderBy(d => d.Name, StringComparer.Ordinal)]; }
    }

    /// <summary>Adds a database; <paramref name="append"/> records it and returns the LSN.</summary>
    public Database Create(string name, Func<uint, ulong> append)
    {
        lock (gate)
        {
            if (byName.TryGetValue(name, out var existing)) return existing;
            var id = nextId;
            var database = new Database(reader, id, name, new DatabaseVersion(append(id), 0, 0, false, 0));
            nextId++;
            byName.Add(name, database);
            byId.Add(id, database);
            return database;
        }
    }

    /// <summary>Gives a database another name, free until now; <paramref name="append"/> records it.</summary>
    public void Rename(Database database, string name, Action append)
    {
        lock (gate)
        {
            if (byName.ContainsKey(name))
                throw new RecoveryException(RecoveryError.Invalid,
                    $"There is a database {name} already in {directory}.",
                    "Delete it first, or take another name.")
                { Path = directory };
            append();
            byName.Remove(database.Name);
            database.Name = name;
            byName.Add(name, database);
        }
    }

    /// <summary>
    /// Removes a database; <paramref name="append"/> records it first. False when it was deleted before.
    /// </summary>
    public bool Delete(Database database, Action append)
    {
        lock (gate)
        {
            if (database.IsDeleted) return false;
            append();
            Forget(database);
            return true;
        }
    }

    void Forget(Database database)
    {
        byName.Remove(database.Name);
        byId.Remove(database.Id);
        database.MarkDeleted();
    }

    /// <summary>
    /// Takes a database from hints or a log, with the version that the page store shows; where that has none, it is as
    /// it was created.
    /// </summary>
    public void Adopt(uint id, string name, ulong createdLsn)
    {
        lock (gate)
        {
            var database = new Database(reader, id, name, createdLsn);
            byName[name] = database;
            byId[id] = database;
            nextId = Math.Max(nextId, id + 1);
        }
    }

    /// <summary>Makes sure that ids up to one that was ever given are not given again.</summary>
    public void ReserveIds(uint next)
    {
        lock (gate) nextId = Math.Max(nextId, next);
    }

    /// <summary>A database that is only known to be deleted.</summary>
    public Database Ghost(uint id) => new(reader, id, $"#{id}", new DatabaseVersion(0, 0, 0, false, 0));

    public void ReplayedRename(uint id, string name)
    {
        if (Find(id) is { } database) Rename(database, name, static () => { });
    }

    public Database? ReplayedDelete(uint id)
    {
        lock (gate)
        {
            if (!byId.TryGetValue(id, out var database)) return null;
            Forget(database);
            return database;
        }
    }
}
