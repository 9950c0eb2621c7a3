using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.Handles;

/// <summary>When the pages of an overlay are to be published.</summary>
internal enum Publishing
{
    /// <summary>A rollback-mode transaction: at COMMIT_PHASETWO, or at its super-journal's deletion; dropped when the lock falls.</summary>
    AtCommit,
    /// <summary>Rollback of a hot journal (EXCLUSIVE without RESERVED), or writes without any lock: at FCNTL_SYNC or xSync.</summary>
    AtSync,
    /// <summary>A checkpoint: at FCNTL_CKPT_DONE.</summary>
    AtCheckpointDone,
    /// <summary>What follows a checkpoint, or comes outside of everything known: with the write itself.</summary>
    AtOnce,
}

/// <summary>Preparing, publishing and dropping what this handle wrote.</summary>
/// <remarks>
/// <para>
/// Where the durable append sits. SQLite's calls for a commit of one database (DELETE; the others differ in what happens to the journal):
/// <code>
/// lock RESERVED; open journal; lock EXCLUSIVE; xWrite..; FCNTL_SYNC(null); xSync; xDelete(journal); [xTruncate]; COMMIT_PHASETWO; unlock
/// </code>
/// A COMMIT that returns an error must not be found committed later, one that returned must be. After FCNTL_SYNC SQLite can still
/// fail and roll back (xSync, the journal's deletion, and with several databases and no super-journal the next database), and a shrinking
/// xTruncate that belongs to the transaction is still to come. So nothing is appended there: FCNTL_SYNC only does what may fail for
/// lack of space, and xSync only notes that the commit is to be durable (it does not come with synchronous=OFF). The record group is
/// appended, made durable and published at COMMIT_PHASETWO, all at once. That may fail as well, and SQLite honours it
/// (pager_end_transaction): with SQLITE_FULL or SQLITE_IOERR* the pager drops its cache, COMMIT returns the error, and since nothing
/// was appended the old version is what everybody sees, this handle too: its overlay is dropped then and there, because in
/// locking_mode=EXCLUSIVE no unlock would. The journal is gone by then, and is not missed: it described a file that never changed.
/// With <c>journal=plain</c> the journal's deletion precedes the commit in the log, so after a crash between them there is neither.
/// </para>
/// <para>
/// With a super-journal the point is its deletion (<see cref="SuperJournals"/>); the xTruncate after it makes a commit of its own
/// at COMMIT_PHASETWO, whose failure only leaves the file longer than its header says.
/// </para>
/// <para>
/// A rollback after a spill writes originals back, sends FCNTL_SYNC and xSync, but never COMMIT_PHASETWO: the overlay is
/// dropped when the lock falls. In locking_mode=EXCLUSIVE it stays and is added to.
/// </para>
/// <para>
/// A checkpoint: xSync(wal); CKPT_START; xWrite..; CKPT_DONE; when all was copied xTruncate and xSync; then the wal-index says that
/// readers may use the main file. Its writes must be visible by then, so they are committed without waiting at CKPT_DONE. Nor has xSync to wait: the frames are
/// durable, and the log has the checkpoint before it has that the WAL begins anew, which is another file (PlainNode.StartAnew).
/// SQLite ignores the answer to CKPT_DONE; space is reserved with each write, and should it fail all the same, everything on
/// the main file fails until the last handle is closed. The xTruncate that ends a complete checkpoint is part of that, so the WAL
/// is neither overwritten nor deleted: it still has everything, and the next open reads it from its start.
/// </para>
/// <para>
/// A WAL commit has written its frames to the WAL, which records them with its last write and hands them to the operating system (WalNode), so that kill -9 takes nothing
/// that returned; and synced it when asked to. COMMIT_PHASETWO does the same for what was recorded otherwise.
/// </para>
/// </remarks>
internal sealed partial class MainFile
{
    bool isCheckpointing;
    // The last thing done was to finish a checkpoint: the xTruncate that may follow is part of it.
    bool isCheckpointed;
    bool checkpointFailed;
    bool isPrepared;
    SuperJournal? super;

    /// <summary>Whether xSync came since FCNTL_SYNC: the commit is to be durable.</summary>
    public bool IsSynced { get; private set; }

    /// <summary>The overlay that waits for its super-journal.</summary>
    public PageOverlay Prepared => overlay!;

    PageOverlay BeginOverlay(bool truncating)
    {
        DatabaseVersion basis;
        lock (open.Gate)
        {
            publishing = isCheckpointing ? Publishing.AtCheckpointDone
                : isCheckpointed && truncating ? Publishing.AtOnce
                : Level >= LockLevel.Exclusive && viaReserved ? Publishing.AtCommit
                : noLock || Level >= LockLevel.Exclusive && !open.IsWalRegime ? Publishing.AtSync
                : Publishing.AtOnce;
            // The pin of a writer is the newest version: RESERVED is refused otherwise, and nobody else publishes while it is held.
            if (publishing != Publishing.AtCommit) Unpin();
            basis = pin ?? database.Pin();
        }
        try
        {
            overlay = Store.BeginOverlay(database, basis);
        }
        finally
        {
            if (!ReferenceEquals(basis, pin)) database.Unpin(basis);
        }
        return overlay;
    }

    /// <returns>The commit's LSN.</returns>
    ulong Publish(bool durable)
    {
        if (database.IsDeleted)
            throw new RecoveryException(RecoveryError.IoWrite,
                $"The database {open.Path} was deleted while it was open; nothing can be written to it any more.")
            { Path = open.Path };
        var lsn = Store.Commit(new ReadOnlySpan<PageOverlay>(in overlay!), durable);
        Published();
        return lsn;
    }

    void PublishAtOnce()
    {
        try
        {
            Publish(durable: false);
        }
        catch
        {
            DropOverlay();
            throw;
        }
    }

    /// <summary>The store has committed the overlay: from here on this handle reads the new version.</summary>
    public void Published()
    {
        var isOwnTransaction = publishing == Publishing.AtCommit;
        overlay = null;
        isPrepared = false;
        IsSynced = false;
        LeaveSuper(broken: false);
        lock (open.Gate)
        {
            // The cache holds what was just written. Not after a hot journal or a WAL's close: those caches may be stale.
            if (isOwnTransaction && Level >= LockLevel.Exclusive && viaReserved) validated = database.Current.Lsn;
            Repin();
        }
        open.EnsureStub();
    }

    void DropOverlay()
    {
        overlay?.Dispose();
        overlay = null;
        isPrepared = false;
        IsSynced = false;
        LeaveSuper(broken: true);
    }

    void LeaveSuper(bool broken)
    {
        super?.Leave(this, broken);
        super = null;
    }

    /// <summary>FCNTL_SYNC: everything is written; <paramref name="superPath"/> names the super-journal, if there is one.</summary>
    public int OnSync(ReadOnlySpan<byte> superPath)
    {
        LeaveSuper(broken: true);
        IsSynced = false;
        var named = superPath.IsEmpty ? null : SuperJournals.Find(superPath);
        try
        {
            if (overlay is null) return Sqlite.Ok;
            open.RequirePlace();
            if (publishing != Publishing.AtCommit)
            {
                Publish(durable: false);
                return Sqlite.Ok;
            }
            Store.Prepare(new ReadOnlySpan<PageOverlay>(in overlay));
            isPrepared = true;
            named?.Join(this);
            super = named;
            return Sqlite.Ok;
        }
        catch
        {
            if (named is not null) named.IsBroken = true;
            throw;
        }
    }

    public override int Sync()
    {
        if (readOnly) return Sqlite.Ok;
        if (open.Failure is { } failure) return Failures.Report(Sqlite.IoErrFsync, failure);
        IsSynced = true;
        if (overlay is null && isCheckpointed) return Sqlite.Ok;
        if (overlay is null) Store.Sync();
        else if (!isPrepared) Publish(durable: true);
        return Sqlite.Ok;
    }

    /// <summary>FCNTL_COMMIT_PHASETWO: the point of no return of a commit without a super-journal.</summary>
    public int OnCommitPhaseTwo()
    {
        isCheckpointed = false;
        try
        {
            ulong lsn;
            if (overlay is not null) lsn = Publish(IsSynced);
            else if (open.WalExists && !readOnly)
            {
                LogWalCommit();
                // Not what others have in the log's buffer: they wait for a sync, which writes it.
                lsn = open.Wal?.LastLsn ?? Store.Lsn.Last;
                Store.WriteOut(lsn);
            }
            else return Sqlite.Ok;
            WaitForRemote(lsn);
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            DropOverlay();
            return Failures.Report(e, Sqlite.IoErrWrite);
        }
    }

    void LogWalCommit()
    {
        try
        {
            open.Wal?.LogCommit();
        }
        catch (Exception e)
        {
            open.Failure = $"A commit in the WAL of {open.Path} could not be recorded, though it was seen already: {e.Message} Close all connections to it and open it again; it is not there then.";
            throw;
        }
    }

    /// <summary>
    /// With durability=remote, a COMMIT returns when it can be restored from the remote. An error here (this writer was fenced, its remote can never be reached) comes after
    /// the commit was published locally: the store takes no more writes then, and the commit is kept for salvage.
    /// </summary>
    /// <param name="lsn">The commit's own: what others appended since may only go with the next request.</param>
    public void WaitForRemote(ulong lsn)
    {
        if (Durability == Durability.Remote) Store.WaitShipped(lsn);
    }

    public void OnCheckpointStart()
    {
        isCheckpointing = true;
        checkpointFailed = false;
    }

    public void OnCheckpointDone()
    {
        isCheckpointing = false;
        isCheckpointed = true;
        if (overlay is null) return;
        try
        {
            if (checkpointFailed) DropOverlay();
            else Publish(durable: false);
        }
        catch (Exception e)
        {
            DropOverlay();
            open.Failure = $"A checkpoint of {open.Path} could not be committed: {e.Message} Close all connections to it and open it again; its WAL is whole.";
            Failures.Report(e, Sqlite.IoErrWrite);
        }
    }
}
