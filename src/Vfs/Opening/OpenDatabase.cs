using RecoveryVfs.Memory;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Opening;

/// <summary>
/// One database as all its handles in this process share it: who holds which lock, its WAL and its shared memory. There
/// is one for each database of an open store that has handles, whatever paths lead to it.
/// </summary>
/// <remarks>
/// <see cref="Gate"/> guards the lock state and is held for nanoseconds only: never while writing to the log. The
/// store's commits are not under it: whoever publishes holds the writer's place here, so nobody else's publish can come
/// between.
/// </remarks>
internal sealed class OpenDatabase(OpenStore store, Database database, string path, bool plainJournal)
{
    public readonly Lock Gate = new();

    /// <summary>The store it is in; this holds one reference to it until the last handle closes.</summary>
    public OpenStore Store { get; } = store;

    public Database Database { get; } = database;

    /// <summary>The path it was first opened by: where its stub lies.</summary>
    public string Path { get; } = path;

    /// <summary>Every path that leads here, as SQLite spells them.</summary>
    public List<byte[]> Keys { get; } = [];

    /// <summary>Open handles; guarded by <see cref="OpenDatabases"/>.</summary>
    public int Handles;

    /// <summary>Whether rollback journals are plain recorded files (<c>journal=plain</c>).</summary>
    public volatile bool PlainJournal = plainJournal;

    /// <summary>
    /// Whether a plain journal exists in the store. Follows every open and delete, all of which come through us.
    /// </summary>
    public volatile bool JournalExists = store.Store.FileExists(database.Name + Companions.JournalSuffix);

    /// <summary>Whether a WAL exists in the store.</summary>
    public volatile bool WalExists = store.Store.FileExists(database.Name + Companions.WalSuffix);

    /// <summary>Whether the stub is known to be in place.</summary>
    public volatile bool StubWritten;

    /// <summary>
    /// Why this database must not be read any more, or null: a checkpoint was counted as done that could not be
    /// committed, so the main file is behind what SQLite believes. The WAL still has everything; the last close ends
    /// it.
    /// </summary>
    public volatile string? Failure;

    /// <summary>
    /// The lock of the handle that has RESERVED or more. Guarded by <see cref="Gate"/>, as all below.
    /// </summary>
    public HeldLock? Writer;

    /// <summary>Who waits to become that.</summary>
    public readonly WriterLine Line = new();

    /// <summary>Handles with SHARED or more.</summary>
    public int Readers;

    /// <summary>How many of <see cref="Readers"/> have <c>isolation=locking</c>, and hold writers off.</summary>
    public int LockingReaders;

    /// <summary>The wal-index, while somebody has it mapped.</summary>
    public SharedMemory? SharedMemory;

    /// <summary>
    /// Keeps opening and deleting the journal or the WAL apart: whoever looks whether a journal is hot must not find
    /// that it exists after another connection deleted it, or every connection fails to open it from then on.
    /// </summary>
    public readonly Lock CompanionGate = new();

    int walHandles;

    /// <summary>
    /// Whether stock locking rules apply because a WAL may be in use: SQLite takes EXCLUSIVE as proof of being alone
    /// before it deletes a WAL, and keeps readers apart by the WAL's own marks.
    /// </summary>
    public bool IsWalRegime => SharedMemory is not null || WalExists || Database.Current.IsWal;

    /// <summary>Whether a handle on the WAL is open.</summary>
    public bool IsWalOpen => Volatile.Read(ref walHandles) > 0;

    /// <summary>The WAL, by one of its handles; they are all the same.</summary>
    public volatile PlainFile? Wal;

    public void WalOpened(PlainFile file)
    {
        Wal = file;
        WalExists = true;
        Interlocked.Increment(ref walHandles);
    }

    public void WalClosed() => Interlocked.Decrement(ref walHandles);

    /// <summary>Whether a handle is in the middle of a commit or rollback.</summary>
    public bool IsCommitting
    {
        get { lock (Gate) return Writer is { Level: LockLevel.Exclusive }; }
    }

    /// <summary>
    /// Before the first commit: what lies at the path must still be what a stub may replace. Another SQLite may have
    /// made a database of its own of the empty file.
    /// </summary>
    public void RequirePlace()
    {
        if (StubWritten || Opening.Stub.Read(Path).Content is not (PathContent.PlainDatabase or PathContent.Foreign))
            return;
        throw new RecoveryException(RecoveryError.IoWrite,
            $"{Path} was empty when it was opened, and is another program's by now; nothing was committed, "
            + "and it was left as it is.",
            "Open it without vfs=recovery, or choose another name.")
        { Path = Path };
    }

    /// <summary>
    /// After the first commit: replaces the empty file at the database's path by the stub. The database is made durable
    /// first: a stub whose database is unknown to the store is refused as a loss, so it may never outlive the database.
    /// </summary>
    public void EnsureStub()
    {
        if (StubWritten) return;
        Store.Store.Sync();
        StubWritten = true;
        if (Stub.Write(Path, Store.Directory, Database.Name)) PlacedStubs.Add(Store.Directory, Database.Id, Path);
    }
}
