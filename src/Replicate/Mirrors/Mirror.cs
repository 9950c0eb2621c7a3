using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Writing;

namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>
/// The database of a store that is kept equal to a plain one. What is too much for one commit (a first copy, above all)
/// is made in pieces, as a database of another name, which takes the mirror's name when it is whole.
/// </summary>
internal sealed class Mirror(Store store, string name)
{
    /// <summary>What the name of a copy ends with until it is whole.</summary>
    public const string CopySuffix = ".being-copied";

    Database? database;

    public string Name => name;

    /// <summary>What is written and compared: the mirror, or the copy that will be it.</summary>
    public Database Database => database ??= store.Find(name) ?? Copy;

    /// <summary>Whether that is a copy yet, which nobody sees by the mirror's name.</summary>
    public bool IsCopy => Database.Name != name;

    /// <summary>Its newest version; null when nothing was ever mirrored.</summary>
    public DatabaseVersion? Version => (database ??= store.Find(name))?.Current;

    /// <summary>
    /// The store's last LSN. It may be newer than the version's: a copy gets its name by a record of its own.
    /// </summary>
    public ulong LastLsn => store.Lsn.Last;

    /// <summary>More than this is not committed at once: it would not fit into the log, or fill it.</summary>
    public long LargestCommitBytes => store.MaxLocalLogBytes / 8;

    Database Copy => store.Create(name + CopySuffix);

    /// <summary>From here on a new copy is made, in pieces. The mirror stays as it is until that is whole.</summary>
    public void BeginAnew() => database = Copy;

    /// <summary>A copy is whole, and is the mirror from here on. Returns the LSN at which it is.</summary>
    public ulong Complete()
    {
        if (!IsCopy)
        {
            DropCopy();
            return Database.Current.Lsn;
        }
        if (store.Find(name) is { } before) store.Delete(before, durable: false);
        store.Rename(Database, name);
        return store.Lsn.Last;
    }

    /// <summary>A copy that was begun, and is of no use any more.</summary>
    public void DropCopy()
    {
        if (store.Find(name + CopySuffix) is not { } copy) return;
        store.Delete(copy, durable: false);
        database = null;
    }

    /// <summary>Hands to the operating system what many commits have gathered.</summary>
    public void WriteOut() => store.WriteOut();

    /// <summary>Begins what will be one commit.</summary>
    public MirrorCommit Begin(int pageSize) => new(store, Database, pageSize);
}
