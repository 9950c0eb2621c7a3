using RecoveryVfs.PageStore.Commits;

namespace RecoveryVfs.Handles;

/// <summary>When the pages of a transaction are to be published.</summary>
internal enum Publishing
{
    /// <summary>
    /// A rollback-mode transaction: at COMMIT_PHASETWO, or at its super-journal's deletion; dropped when the lock
    /// falls.
    /// </summary>
    AtCommit,
    /// <summary>
    /// Rollback of a hot journal (EXCLUSIVE without RESERVED), or writes without any lock: at FCNTL_SYNC or xSync.
    /// </summary>
    AtSync,
    /// <summary>A checkpoint: at FCNTL_CKPT_DONE.</summary>
    AtCheckpointDone,
    /// <summary>What follows a checkpoint, or comes outside of everything known: with the write itself.</summary>
    AtOnce,
}

/// <summary>
/// What one handle has written and nobody else sees yet: its pages, when they are due to be published, and how far
/// their commit has come. It ends with their publication, or is dropped. Used by the thread that uses the handle.
/// </summary>
internal sealed class Transaction(MainFile handle, PageOverlay pages, Publishing due)
{
    SuperJournal? super;

    public PageOverlay Pages => pages;

    public Publishing Due => due;

    /// <summary>Whether FCNTL_SYNC came: what could fail for lack of room is done.</summary>
    public bool IsPrepared { get; private set; }

    /// <summary>Whether xSync came since FCNTL_SYNC: the commit is to be durable.</summary>
    public bool IsSynced { get; private set; }

    /// <summary>
    /// The pager deleted the journal after FCNTL_SYNC, and is not tied to others: its next call after COMMIT_PHASETWO
    /// is xUnlock.
    /// </summary>
    public bool IsUnlockedNext { get; private set; }

    /// <summary>FCNTL_SYNC came anew: what went before it says nothing of this commit.</summary>
    public void BeginSync()
    {
        LeaveSuper(broken: true);
        IsSynced = IsUnlockedNext = false;
    }

    /// <summary>The journal was deleted by the thread that commits.</summary>
    public void JournalDeleted() => IsUnlockedNext = IsPrepared && super is null;

    /// <summary>Its log space is set aside; with a super-journal, that one's deletion commits it.</summary>
    public void Prepared(SuperJournal? under)
    {
        IsPrepared = true;
        super = under;
        super?.Join(handle);
    }

    /// <summary>xSync came.</summary>
    public void Synced() => IsSynced = true;

    /// <summary>Its pages are published, and the store's.</summary>
    public void Published() => LeaveSuper(broken: false);

    /// <summary>Gives its pages up.</summary>
    public void Drop()
    {
        pages.Dispose();
        LeaveSuper(broken: true);
    }

    void LeaveSuper(bool broken)
    {
        super?.Leave(handle, broken);
        super = null;
    }
}
