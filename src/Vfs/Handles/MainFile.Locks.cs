using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.Handles;

/// <summary>
/// Locks and pins. In rollback modes SHARED pins the newest version: readers keep it and block nobody. RESERVED is for
/// one handle, and refused to one whose pin is not the newest any more. EXCLUSIVE waits for nobody, unless a WAL may be
/// in use (then SQLite takes it as proof of being alone) or <c>isolation=locking</c> asks for it.
/// </summary>
internal sealed partial class MainFile
{
    readonly HeldLock held;
    // About 10 us of point reads: what a commit may wait; and yielding to nobody costs half a microsecond.
    const int ReadsBetweenYields = 4;
    int readsBesideCommits;

    /// <summary>The lock this handle has. Written under the database's gate.</summary>
    public LockLevel Level => held.Level;

    /// <summary>
    /// Whether the handle that took SHARED last on this thread reads a pinned version of <paramref name="database"/>,
    /// from before a WAL came. To such a handle the WAL does not exist: having taken SHARED, the pager asks for the WAL
    /// by name, would open it over its older main file, or delete it when that is empty (pagerOpenWalIfPresent).
    /// </summary>
    public static bool IsThreadPinned(OpenDatabase database) =>
        LastShared is MainFile handle && ReferenceEquals(handle.open, database) && handle.pin is not null;

    public override bool IsReserved
    {
        get { lock (open.Gate) return open.Writer is not null; }
    }

    public override int Lock(LockLevel level)
    {
        if (Level >= level) return Sqlite.Ok;
        if (level == LockLevel.Reserved && WhyReadOnly() is { } reason) return Failures.Report(Sqlite.ReadOnly, reason);
        refused = null;
        lock (open.Gate)
        {
            var wal = open.IsWalRegime;
            if (Level == LockLevel.None)
            {
                if (open.Writer is { Level: >= LockLevel.Pending } writer
                    && (wal || writer.IsHard || IsLocking || writer.IsLocking))
                    return Sqlite.Busy;
                TakeShared();
            }
            if (level == LockLevel.Shared) return Sqlite.Ok;
            if (!ReferenceEquals(open.Writer, held))
            {
                if (open.Writer is not null || (!wal && open.Line.IsKeptFor(turn))) return Refuse(Sqlite.Busy);
                if (Level < LockLevel.Reserved && pin is not null && !ReferenceEquals(pin, database.Newest))
                    return Refuse(Sqlite.BusySnapshot);
                open.Writer = held;
                open.Line.Took(turn);
            }
            if (level == LockLevel.Reserved)
            {
                held.Reserve();
                return Sqlite.Ok;
            }
            return held.TryExclude(wal, IsLocking) ? Sqlite.Ok : Sqlite.Busy;
        }
    }

    /// <summary>
    /// Why the store takes no writes any more, or null. Asked when a transaction begins to write: the last place where
    /// SQLITE_READONLY is an answer that the pager can take (see Failures).
    /// </summary>
    string? WhyReadOnly()
    {
        try
        {
            Store.ThrowUnlessWritable();
            return null;
        }
        catch (RecoveryException e)
        {
            return e.Message;
        }
    }

    bool IsLocking => isolation == Isolation.Locking;

    void TakeShared()
    {
        held.Share(IsLocking);
        Repin();
        // A writer whose turn it is goes on from what the last one has appended.
        if (pin is not null && open.Line.IsCalled(turn))
        {
            Unpin();
            pin = database.PinNewest();
        }
        LastShared = this;
    }

    public override int Unlock(LockLevel level)
    {
        if (Level <= level) return Sqlite.Ok;
        var endsWriting = Level > LockLevel.Shared && level <= LockLevel.Shared;
        // What was not published by now was rolled back, or its commit failed (pager_playback restores originals
        // without a COMMIT_PHASETWO; journal_mode=OFF restores nothing).
        if (endsWriting) Drop();
        var (seen, next) = (pin, default(WaitingWriter));
        lock (open.Gate)
        {
            if (endsWriting)
            {
                next = GiveUpPlace();
                held.EndWriting();
                checkpoint = Checkpoint.None;
            }
            // One that was called and does not write.
            else if (open.Line.IsCalled(turn)) next = open.Line.Leave(turn!);
            if (level == LockLevel.None) LeaveShared();
            else
            {
                held.FallTo(level);
                if (level == LockLevel.Shared && pin is null) Repin();
            }
        }
        next?.Wake();
        if (endsWriting)
        {
            if (ReferenceEquals(committing, this)) committing = null;
            SuperJournals.Sweep();
        }
        else if (level == LockLevel.None) LetCommitsPass();
        WaitForWhatWasSeen(seen);
        return Sqlite.Ok;
    }

    /// <summary>
    /// Reads from the page cache never wait, so with more readers than processors a commit that comes back from the
    /// disk would wait for one until some reader's time slice of milliseconds is over: many times what the disk took.
    /// </summary>
    void LetCommitsPass()
    {
        if (Store.IsCommitAtDisk && ++readsBesideCommits % ReadsBetweenYields == 0) Thread.Yield();
    }

    void LeaveShared()
    {
        held.Leave();
        Unpin();
        if (ReferenceEquals(LastShared, this)) LastShared = null;
    }

    /// <summary>
    /// Pins the newest version, or none when a WAL may be in use: then every handle reads the newest, and the WAL's own
    /// read marks keep readers apart. Called under the gate, so that no WAL can appear meanwhile.
    /// </summary>
    void Repin()
    {
        Unpin();
        if (Level >= LockLevel.Shared && mapped is null && !open.IsWalRegime) pin = database.Pin();
    }

    void Unpin()
    {
        if (pin is not { } pinned) return;
        pin = null;
        database.Unpin(pinned);
    }
}
