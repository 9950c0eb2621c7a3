using System.Globalization;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Writing;

/// <summary>
/// Who writes a store's directory: its databases, their pages, the recovery log, the plain files and the tie to the
/// remote. Everything that a writing connection needs. Thread-safe.
/// </summary>
/// <remarks>
/// A commit is encoded (by its own thread), appended to the log, made durable together with whoever else waits, and
/// then published: its pages stand among the pending commits and in the page cache until the applier has brought them
/// into the page store. Versions that readers have pinned stay readable meanwhile and after.
///
/// Locks, in the order in which they may be taken: catalog, order gate, log, pending commits; a database's gate and the
/// page cache's lock are innermost. None is held while RocksDB is called, but for snapshots (which RocksDB serves
/// without waiting for anything).
/// </remarks>
internal sealed partial class Store : IShippedStore, IDisposable
{
    readonly StoreCore core;
    readonly StoreOptions options;
    readonly StoreHome home;
    readonly IPageStore pages;
    readonly PendingCommits pending;
    readonly IDisposable? storeLock;
    readonly LocalLog log;
    readonly PlainFiles files;
    readonly WalMemory wals;
    readonly Applier applier;
    // A delegate, since each commit hands it on.
    readonly Action<PendingCommit> publish;
    readonly Lock orderGate = new();
    RecoveryException? poison;
    bool disposed;
    int commitsAtDisk;
    long lookedAt;

    internal LocalLog Log => log;
    internal StoreHome Home => home;
    internal PageCache Cache => core.Cache;
    internal Catalog Catalog => core.Catalog;

    /// <summary>The store's directory.</summary>
    public string Directory => options.Directory;

    /// <summary>This moment of the log.</summary>
    public Bookmark Bookmark => Bookmark.Of(log.LogId, log.Epoch, log.LastLsn);

    /// <summary>What the local log may grow to.</summary>
    public long MaxLocalLogBytes => options.MaxLocalLogBytes;

    /// <summary>The database of that name, or null.</summary>
    public Database? Find(string name) => Catalog.Find(name);

    /// <summary>All databases, by name.</summary>
    public IReadOnlyList<Database> Databases => Catalog.All;

    /// <summary>
    /// Creates an empty database (size 0), or returns the one of that name. Durable with the first durable commit.
    /// </summary>
    public Database Create(string name)
    {
        ThrowUnlessWritable();
        return Catalog.Create(name, id => log.Append(RecordKind.DatabaseCreated, DatabaseRecords.Named(id, name)));
    }

    /// <summary>Gives a database another name.</summary>
    public void Rename(Database database, string name)
    {
        ThrowUnlessWritable();
        Catalog.Rename(database, name,
            () => log.Append(RecordKind.DatabaseRenamed, DatabaseRecords.Named(database.Id, name)));
    }

    /// <summary>
    /// Deletes a database with its pages. Existing pins stay readable until unpinned. Durable when
    /// <paramref name="durable"/>.
    /// </summary>
    public void Delete(Database database, bool durable)
    {
        ThrowUnlessWritable();
        var commit = new PendingCommit([new PendingPart(database, null, null)]);
        var deleted = Catalog.Delete(database, () =>
        {
            lock (orderGate)
            {
                commit.Lsn = log.Append(RecordKind.DatabaseDeleted, DatabaseRecords.Id(database.Id));
                pending.Enqueue(commit);
            }
        });
        if (!deleted) return;
        commit.Ready = true;
        applier.Notify();
        MakeDurable(commit.Lsn, durable);
    }

    /// <summary>
    /// Opens a plain file (journal, WAL) by name; null when it does not exist and <paramref name="create"/> is false.
    /// </summary>
    public PlainFile? OpenFile(string name, bool create) => files.Open(name, create);

    /// <summary>Whether a plain file of that name exists.</summary>
    public bool FileExists(string name) => files.Exists(name);

    /// <summary>
    /// Deletes a plain file by name (open handles keep reading it); false when there was none. Durable when
    /// <paramref name="durable"/>.
    /// </summary>
    public bool DeleteFile(string name, bool durable) => files.Delete(name, durable);

    /// <summary>
    /// Hands everything appended so far to the operating system: it survives the end of this process.
    /// </summary>
    public void WriteOut() => WriteOut(log.LastLsn);

    /// <summary>The same for what was appended up to an LSN.</summary>
    public void WriteOut(ulong lsn) => MakeDurable(lsn, false);

    /// <summary>Makes everything appended so far durable: it survives loss of power.</summary>
    public void Sync() => MakeDurable(log.LastLsn, true);

    /// <summary>The newest LSN appended, and the newest known durable.</summary>
    public (ulong Last, ulong Durable) Lsn => (log.LastLsn, log.DurableLsn);

    /// <summary>Brings all pages into files and drops log no longer needed.</summary>
    public void Checkpoint()
    {
        ThrowUnlessWritable();
        Volatile.Write(ref checkpointWanted, true);
        applier.Drain();
    }

    /// <summary>
    /// Gives back all space that can be: brings all pages into files and rewrites these, densest. Takes as long as
    /// reading and writing the store once, beside which the store is used as always; returns the bytes of the files
    /// then.
    /// </summary>
    public long Compact(CancellationToken cancellation = default)
    {
        Checkpoint();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, closing.Token);
        lock (collectGate)
            if (!pages.Compact(either.Token))
                throw new OperationCanceledException(
                    $"Compacting the store {Directory} was cancelled; nothing is lost, and some of the space is "
                        + "given back.");
        Checkpoint();
        var sizes = pages.Statistics();
        return sizes.GetValueOrDefault("blob_file_bytes") + sizes.GetValueOrDefault("table_bytes");
    }

    /// <summary>
    /// Throws what keeps the store from taking writes: opened for reading, fenced, or poisoned by an earlier error.
    /// </summary>
    public void ThrowUnlessWritable()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ThrowUnlessHere();
        if ((poison ?? log.Poison) is { } cause)
            throw new RecoveryException(RecoveryError.ReadOnly,
                $"The store {Directory} takes no more writes since an earlier error: {cause.Message}",
                "Close all connections and open it again to go on from what is durable.",
                cause)
            { Path = cause.Path ?? Directory, Lsn = cause.Lsn };
    }

    /// <summary>
    /// Throws when what is written would be for nothing: the directory is a copy of a store that ships, or is not there
    /// any more, or its remote is another writer's. The first one to write waits for the remote to say so.
    /// </summary>
    void ThrowUnlessHere()
    {
        if (NotOwner() is { } why) throw why;
        ThrowIfMoved();
        Remote?.ThrowIfNotOurs();
    }

    void ThrowIfMoved()
    {
        // Once a tick, a few milliseconds: each look is a system call.
        if (storeLock is not StoreLock held || Environment.TickCount64 is var now && now == Volatile.Read(ref lookedAt))
            return;
        Volatile.Write(ref lookedAt, now);
        if (held.IsInPlace) return;
        poison ??= new RecoveryException(RecoveryError.IoWrite,
            $"The store's directory {Directory} was deleted, moved or replaced while it is open: what is written now "
                + "would be lost.",
            "Put it back in its place, or restore it.")
        { Path = Directory };
        throw poison.Again();
    }

    /// <summary>
    /// Reads every page of a database, or of all with the plain files, and checks the checksums; returns one line a
    /// problem.
    /// </summary>
    public IReadOnlyList<string> Verify(Database? database, CancellationToken cancellation,
        Action<long>? progressed = null)
    {
        var problems = core.Verify(database, cancellation, progressed);
        if (database is null) problems.AddRange(files.Verify(cancellation));
        return problems;
    }

    /// <summary>Names and values for `PRAGMA recovery_status` and its kin.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Status()
    {
        var state = (poison ?? log.Poison) is { } broken ? "poisoned: " + broken.Message
            : whyNotOwner is { } why ? "copy: " + why.Message
            : pending.Failure is { } failure ? "stuck: " + failure.Message
            : "ok";
        var rows = core.Status(new(log.LogId, state, log.LastLsn, log.DurableLsn, log.SizeBytes, wals.UsedBytes),
            Remote?.Status());
        return Fetched is { } fetched ? [.. rows, .. fetched.Rows()] : rows;
    }
}
