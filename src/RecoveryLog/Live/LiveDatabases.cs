using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>Which databases live, by id and by name. Not thread-safe.</summary>
internal sealed class LiveDatabases
{
    readonly Dictionary<uint, string> names = [];
    // The same by name: with thousands of databases, whoever looks one up at each record must not look at all.
    readonly Dictionary<string, uint> ids = [];

    /// <summary>The first id that was never used.</summary>
    public uint NextId { get; private set; } = 1;

    public string? NameOf(uint id) => names.GetValueOrDefault(id);

    /// <summary>The id of a database; 0 when there is none of that name.</summary>
    public uint IdOf(string name) => ids.GetValueOrDefault(name);

    /// <summary>A database was created, or has another name.</summary>
    public void Name(uint id, string name)
    {
        if (id >= HintsFormat.MaxDatabaseId)
            throw FileRecords.Damaged("database", $"names the database {id}");
        Forget(id);
        names[id] = name;
        ids[name] = id;
        NextId = Math.Max(NextId, id + 1);
    }

    public void Forget(uint id)
    {
        if (!names.Remove(id, out var name)) return;
        if (ids.GetValueOrDefault(name) == id) ids.Remove(name);
    }

    /// <summary>All of them, by id.</summary>
    public List<LiveDatabase> ToList()
    {
        var list = new List<LiveDatabase>(names.Count);
        foreach (var (id, name) in names) list.Add(new LiveDatabase(id, name));
        list.Sort((a, b) => a.Id.CompareTo(b.Id));
        return list;
    }

    /// <summary>Starts from what hints list.</summary>
    public void Load(IReadOnlyList<LiveDatabase> listed, uint nextId)
    {
        names.Clear();
        ids.Clear();
        NextId = nextId;
        foreach (var database in listed)
        {
            names.Add(database.Id, database.Name);
            ids[database.Name] = database.Id;
        }
    }
}
