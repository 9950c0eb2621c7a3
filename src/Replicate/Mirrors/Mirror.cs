using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Writing;

namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>The database of a store that is kept equal to a plain one.</summary>
internal sealed class Mirror(Store store, string name)
{
    Database? database;

    public string Name => name;

    /// <summary>The database, made when the store has none of that name.</summary>
    public Database Database => database ??= store.Find(name) ?? store.Create(name);

    /// <summary>Its newest version; null when nothing was ever mirrored.</summary>
    public DatabaseVersion? Version => (database ??= store.Find(name))?.Current;

    /// <summary>Begins what will be one commit.</summary>
    public MirrorCommit Begin(int pageSize) => new(store, Database, pageSize);
}
