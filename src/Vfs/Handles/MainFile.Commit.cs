using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.Handles;

/// <summary>Preparing, publishing and dropping what this handle wrote.</summary>
/// <remarks>
/// <para>
/// Where the durable append sits. SQLite's calls for a commit of one database (DELETE; the others differ in what
/// happens to the journal):
/// <code>
/// lock RESERVED; open journal; lock EXCLUSIVE; xWrite..; FCNTL_SYNC(null); xSync; xDelete(journal); [xTruncate];
/// COMMIT_PHASETWO; unlock
/// </code>
/// A COMMIT that returns an error must not be found committed later, one that returned must be. After FCNTL_SYNC SQLite
/// can still fail and roll back (xSync, the journal's deletion, and with several databases and no super-journal the
/// next database), and a shrinking xTruncate that belongs to the transaction is still to come. So nothing is appended
/// there: FCNTL_SYNC only does what may fail for lack of space, and xSync only notes that the commit is to be durable
/// (it does not come with synchronous=OFF). The record group is appended, made durable and published at
/// COMMIT_PHASETWO, all at once. That may fail as well, and SQLite honours it (pager_end_transaction): with SQLITE_FULL
/// or SQLITE_IOERR* the pager drops its cache, COMMIT returns the error, and since nothing was appended the old version
/// is what everybody sees, this handle too: its overlay is dropped then and there, because in locking_mode=EXCLUSIVE no
/// unlock would. The journal is gone by then, and is not missed: it described a file that never changed. With
/// <c>journal=plain</c> the journal's deletion precedes the commit in the log, so after a crash between them there is
/// neither.
/// </para>
/// <para>
/// With a super-journal the point is its deletion (<see cref="SuperJournals"/>); the xTruncate after it makes a commit
/// of its own at COMMIT_PHASETWO, whose failure only leaves the file longer than its header says.
/// </para>
/// <para>
/// A rollback after a spill writes originals back, sends FCNTL_SYNC and xSync, but never COMMIT_PHASETWO: the overlay
/// is dropped when the lock falls. In locking_mode=EXCLUSIVE it stays and is added to.
/// </para>
/// <para>
/// A checkpoint: xSync(wal); CKPT_START; xWrite..; CKPT_DONE; when all was copied xTruncate and xSync; then the
/// wal-index says that readers may use the main file. Its writes must be visible by then, so they are committed without
/// waiting at CKPT_DONE. Nor has xSync to wait: the frames are durable, and the log has the checkpoint before it has
/// that the WAL begins anew, which is another file (PlainNode.StartAnew). SQLite ignores the answer to CKPT_DONE; space
/// is reserved with each write, and should it fail all the same, everything on the main file fails until the last
/// handle is closed. The xTruncate that ends a complete checkpoint is part of that, so the WAL is neither overwritten
/// nor deleted: it still has everything, and the next open reads it from its start.
/// </para>
/// <para>
/// A WAL commit has written its frames to the WAL, which records them with its last write and hands them to the
/// operating system (WalNode), so that kill -9 takes nothing that returned; and synced it when asked to.
/// COMMIT_PHASETWO does the same for what was recorded otherwise.
/// </para>
/// </remarks>
internal sealed partial class MainFile
{
    /// <summary>What this handle has written and nobody else sees yet.</summary>
    public Transaction? Transaction => transaction;

    Transaction Begin(bool truncating)
    {
        DatabaseVersion basis;
        Publishing due;
        lock (open.Gate)
        {
            due = checkpoint is Checkpoint.UnderWay or Checkpoint.Failed ? Publishing.AtCheckpointDone
                : checkpoint == Checkpoint.Done && truncating ? Publishing.AtOnce
                : Level >= LockLevel.Exclusive && held.IsViaReserved ? Publishing.AtCommit
                : noLock || Level >= LockLevel.Exclusive && !open.IsWalRegime ? Publishing.AtSync
                : Publishing.AtOnce;
            // The pin of a writer is the newest version: RESERVED is refused otherwise, and nobody else publishes while
            // it is held.
            if (due != Publishing.AtCommit) Unpin();
            basis = pin ?? database.Pin();
        }
        try
        {
            transaction = new Transaction(this, Store.BeginOverlay(database, basis), due);
        }
        finally
        {
            if (!ReferenceEquals(basis, pin)) database.Unpin(basis);
        }
        return transaction;
    }

    /// <returns>The commit's LSN.</returns>
    ulong Publish(Transaction own, bool durable)
    {
        RequireDatabase();
        var pages = own.Pages;
        var lsn = Store.Commit(new ReadOnlySpan<PageOverlay>(in pages), durable);
        Published();
        return lsn;
    }

    void RequireDatabase()
    {
        if (database.IsDeleted)
            throw new RecoveryException(RecoveryError.IoWrite,
                $"The database {open.Path} was deleted while it was open; nothing can be written to it any more.")
            { Path = open.Path };
    }

    /// <summary>The same for a durable commit: the next writer goes on while it waits for the disk.</summary>
    ulong PublishAndLetGo(Transaction own)
    {
        RequireDatabase();
        var version = Store.CommitAndLetGo(own.Pages, letNextWrite);
        own.Published();
        transaction = null;
        lock (open.Gate)
        {
            // Not the newest version, which may be another's by now: a statement that still reads goes on from here.
            pagerCache.AgreesWith(version.Lsn);
            Unpin();
            pin = version;
        }
        open.EnsureStub();
        return version.Lsn;
    }

    void PublishAtOnce(Transaction own)
    {
        try
        {
            Publish(own, durable: false);
        }
        catch
        {
            Drop();
            throw;
        }
    }

    /// <summary>The store has committed the transaction: from here on this handle reads the new version.</summary>
    public void Published()
    {
        var isOfThisConnection = transaction is { Due: Publishing.AtCommit };
        transaction?.Published();
        transaction = null;
        lock (open.Gate)
        {
            // The cache holds what was just written. Not after a hot journal or a WAL's close: those caches may be
            // stale.
            if (isOfThisConnection && Level >= LockLevel.Exclusive && held.IsViaReserved)
                pagerCache.AgreesWith(database.Current.Lsn);
            Repin();
        }
        open.EnsureStub();
    }

    void Drop()
    {
        transaction?.Drop();
        transaction = null;
    }

    /// <summary>
    /// FCNTL_SYNC: everything is written; <paramref name="superPath"/> names the super-journal, if there is one.
    /// </summary>
    public int OnSync(ReadOnlySpan<byte> superPath)
    {
        transaction?.BeginSync();
        var named = superPath.IsEmpty ? null : SuperJournals.Find(superPath);
        try
        {
            if (transaction is not { } own) return Sqlite.Ok;
            open.RequirePlace();
            if (own.Due != Publishing.AtCommit)
            {
                Publish(own, durable: false);
                return Sqlite.Ok;
            }
            var pages = own.Pages;
            Store.Prepare(new ReadOnlySpan<PageOverlay>(in pages));
            own.Prepared(named);
            committing = this;
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
        if (transaction is { } own)
        {
            if (own.IsPrepared) own.Synced();
            else Publish(own, durable: true);
        }
        else if (checkpoint != Checkpoint.Done) Store.Sync();
        return Sqlite.Ok;
    }

    /// <summary>FCNTL_COMMIT_PHASETWO: the point of no return of a commit without a super-journal.</summary>
    public int OnCommitPhaseTwo()
    {
        if (checkpoint == Checkpoint.Done) checkpoint = Checkpoint.None;
        try
        {
            ulong lsn;
            if (transaction is { } own)
            {
                if (CanLetGo(own)) lsn = PublishAndLetGo(own);
                else lsn = Publish(own, own.IsSynced);
            }
            else if (open.WalExists && !readOnly)
            {
                LogWalCommit();
                // Not what others have in the log's buffer: they wait for a sync, which writes it.
                lsn = open.Wal?.LastLsn ?? Store.Lsn.Last;
                Store.WriteOut(lsn);
            }
            else
            {
                WaitForWhatWasSeen(pin);
                return Sqlite.Ok;
            }
            WaitForRemote(lsn);
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            Drop();
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
            open.Failure =
                $"A commit in the WAL of {open.Path} could not be recorded, though it was seen already: {e.Message} "
                    + "Close all connections to it and open it again; it is not there then.";
            throw;
        }
    }

    /// <summary>
    /// With durability=remote, a COMMIT returns when it can be restored from the remote. An error here (this writer was
    /// fenced, its remote can never be reached) comes after the commit was published locally: the store takes no more
    /// writes then, and the commit is kept for salvage.
    /// </summary>
    /// <param name="lsn">The commit's own: what others appended since may only go with the next request.</param>
    public void WaitForRemote(ulong lsn)
    {
        if (Durability == Durability.Remote) Store.WaitRestorable(lsn);
    }

    public void OnCheckpointStart() => checkpoint = Checkpoint.UnderWay;

    public void OnCheckpointDone()
    {
        var hasFailed = checkpoint == Checkpoint.Failed;
        checkpoint = Checkpoint.Done;
        if (transaction is not { } own) return;
        try
        {
            if (hasFailed) Drop();
            else Publish(own, durable: false);
        }
        catch (Exception e)
        {
            Drop();
            open.Failure =
                $"A checkpoint of {open.Path} could not be committed: {e.Message} Close all connections to it and "
                    + "open it again; its WAL is whole.";
            Failures.Report(e, Sqlite.IoErrWrite);
        }
    }
}
