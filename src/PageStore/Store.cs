using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore;

/// <summary>How a store is opened; see docs/OPERATIONS.md for each.</summary>
public sealed record StoreOptions
{
    /// <summary>The store's directory (created when missing).</summary>
    public required string Directory { get; init; }
    /// <summary>Pages of newest versions kept in memory, shared by all connections.</summary>
    public long PageCacheBytes { get; init; } = 64L << 20;
    /// <summary>Page writes of one transaction held in memory before they spill to an unlinked file.</summary>
    public long OverlayBytes { get; init; } = 64L << 20;
    /// <summary>Committed pages waiting in memory to enter the page store.</summary>
    public long PendingBytes { get; init; } = 32L << 20;
    /// <summary>Open for reading only; nothing in the directory is changed.</summary>
    public bool ReadOnly { get; init; }
    /// <summary>The source of time.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>
/// One local directory: the databases in it, their pages, the recovery log and the plain files. Everything a connection needs.
/// Thread-safe.
/// </summary>
public sealed class Store : IDisposable
{
    /// <summary>Opens or creates the store, replaying what a crash left. Takes the directory's lock, naming the holder when it is taken.</summary>
    public static Store Open(StoreOptions options) => throw null!;

    /// <summary>The database of that name, or null.</summary>
    public Database? Find(string name) => throw null!;

    /// <summary>Creates an empty database (size 0). Durable with the first durable commit.</summary>
    public Database Create(string name) => throw null!;

    /// <summary>Deletes a database with its pages. Existing pins stay readable until unpinned. Durable when <paramref name="durable"/>.</summary>
    public void Delete(Database database, bool durable) => throw null!;

    /// <summary>Gives a database another name.</summary>
    public void Rename(Database database, string name) => throw null!;

    /// <summary>All databases, by name.</summary>
    public IReadOnlyList<Database> Databases => throw null!;

    /// <summary>Starts a transaction's private pages on top of <paramref name="basis"/> (which stays pinned by the overlay).</summary>
    public PageOverlay BeginOverlay(Database database, DatabaseVersion basis) => throw null!;

    /// <summary>
    /// Commits overlays (of one or several databases) as one atomic record group: appended to the log, made durable when
    /// <paramref name="durable"/>, then published to readers. Either returns the LSN with all of it done, or throws with none of
    /// it done and the overlays intact. Each overlay's basis must be the newest version of its database. Overlays are consumed (disposed) on success.
    /// </summary>
    public ulong Commit(ReadOnlySpan<PageOverlay> overlays, bool durable) => throw null!;

    /// <summary>
    /// Does beforehand all that can fail in <see cref="Commit"/> for lack of space: afterwards a commit of these overlays as
    /// they are (or smaller) does not throw Full.
    /// </summary>
    public void Prepare(ReadOnlySpan<PageOverlay> overlays) => throw null!;

    /// <summary>Opens a plain file (journal, WAL) by name; null when it does not exist and <paramref name="create"/> is false.</summary>
    public PlainFile? OpenFile(string name, bool create) => throw null!;

    /// <summary>Whether a plain file of that name exists.</summary>
    public bool FileExists(string name) => throw null!;

    /// <summary>Deletes a plain file by name (open handles keep reading it); false when there was none. Durable when <paramref name="durable"/>.</summary>
    public bool DeleteFile(string name, bool durable) => throw null!;

    /// <summary>Makes everything appended so far durable.</summary>
    public void Sync() => throw null!;

    /// <summary>The newest LSN appended, and the newest known durable.</summary>
    public (ulong Last, ulong Durable) Lsn => throw null!;

    /// <summary>Name, value lines for PRAGMA recovery_status.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Status() => throw null!;

    /// <summary>Brings all pages into files and drops log no longer needed (PRAGMA recovery_checkpoint).</summary>
    public void Checkpoint() => throw null!;

    /// <summary>Reads every page of a database, or of all, and checks sizes and checksums; returns one line a problem.</summary>
    public IReadOnlyList<string> Verify(Database? database, CancellationToken cancellation) => throw null!;

    /// <summary>Closes cleanly: flushes so that the next open replays nothing, and releases the lock.</summary>
    public void Dispose() => throw null!;
}

/// <summary>One SQLite main file in a store.</summary>
public sealed class Database
{
    /// <summary>The identity inside pages and records.</summary>
    public uint Id => throw null!;

    /// <summary>The name: for `a.db` beside `.recovery/`, just `a.db`.</summary>
    public string Name => throw null!;

    /// <summary>The newest published version.</summary>
    public DatabaseVersion Current => throw null!;

    /// <summary>Whether it was deleted from the store while handles were open.</summary>
    public bool IsDeleted => throw null!;

    /// <summary>Pins the newest version for reading until <see cref="Unpin"/>. Tens of nanoseconds, no allocation.</summary>
    public DatabaseVersion Pin() => throw null!;

    /// <summary>Ends one pin.</summary>
    public void Unpin(DatabaseVersion version) => throw null!;

    /// <summary>
    /// Copies bytes of a pinned version into <paramref name="destination"/>; returns how many there were (fewer only at the end of
    /// the file). Hot path: no allocation, no lock when the page is cached.
    /// </summary>
    public int Read(DatabaseVersion pinned, long offset, Span<byte> destination) => throw null!;
}

/// <summary>An immutable version of a database: what one commit left.</summary>
public sealed class DatabaseVersion
{
    /// <summary>The LSN of the commit (for a database just created, of its creation). Grows with each version.</summary>
    public ulong Lsn => throw null!;

    /// <summary>The size of the file in bytes.</summary>
    public long SizeBytes => throw null!;

    /// <summary>The page size in which it is stored; 0 while empty.</summary>
    public int PageSize => throw null!;

    /// <summary>Whether bytes 18 and 19 of the header say WAL (2).</summary>
    public bool IsWal => throw null!;
}

/// <summary>
/// A transaction's private page writes over a basis version. Byte-addressed: writes of any offset and length are taken. Spills
/// beyond the budget. Used by one thread at a time.
/// </summary>
public sealed class PageOverlay : IDisposable
{
    /// <summary>The database and the version this lies on.</summary>
    public Database Database => throw null!;
    /// <summary>The version this lies on.</summary>
    public DatabaseVersion Basis => throw null!;
    /// <summary>The size of the file as this transaction sees it.</summary>
    public long SizeBytes => throw null!;
    /// <summary>Reads the transaction's view; returns bytes read (fewer only at the end of the file).</summary>
    public int Read(long offset, Span<byte> destination) => throw null!;
    /// <summary>Writes into the transaction's view, growing it when needed (gaps read as zeros). Throws Full when nothing can take it.</summary>
    public void Write(long offset, ReadOnlySpan<byte> source) => throw null!;
    /// <summary>Cuts the transaction's view (never grows it).</summary>
    public void Truncate(long sizeBytes) => throw null!;
    /// <summary>Drops everything and unpins the basis. Disposing twice, or after a commit, does nothing.</summary>
    public void Dispose() => throw null!;
}

/// <summary>
/// An open journal or WAL: a plain file under the store whose every change is a record of the log. Several handles may be open
/// on one file; each is used by one thread at a time.
/// </summary>
public sealed class PlainFile : IDisposable
{
    /// <summary>The name it was opened by.</summary>
    public string Name => throw null!;
    /// <summary>The size in bytes.</summary>
    public long SizeBytes => throw null!;
    /// <summary>Reads; returns bytes read (fewer only at the end of the file).</summary>
    public int Read(long offset, Span<byte> destination) => throw null!;
    /// <summary>Writes and records the write.</summary>
    public void Write(long offset, ReadOnlySpan<byte> source) => throw null!;
    /// <summary>Cuts, and records it. Cutting to 0 gives the file a new identity, so that its old bytes leave the hints.</summary>
    public void Truncate(long sizeBytes) => throw null!;
    /// <summary>Makes everything written to it (and everything before it in the log) durable.</summary>
    public void Sync() => throw null!;
    /// <summary>Closes this handle.</summary>
    public void Dispose() => throw null!;
}
