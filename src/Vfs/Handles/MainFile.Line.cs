using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.Handles;

/// <summary>
/// Writers of one database, one after the other: the place of the writer is handed on when a commit's place in the log
/// is fixed, and its sync is shared with those who come after it.
/// </summary>
/// <remarks>
/// <para>
/// <b>When the place may be given away.</b> At COMMIT_PHASETWO the commit is appended, and waits for the disk. With
/// locking_mode=EXCLUSIVE no unlock follows, the connection writes on, and its place is its own. The VFS is not told
/// of that mode for certain. But in a commit of such a connection the pager never deletes the journal
/// (pager_end_transaction zeroes its header instead). So a journal that was deleted between FCNTL_SYNC and
/// COMMIT_PHASETWO says that xUnlock is the pager's next call, whatever becomes of the commit. Without that sign
/// (journal modes TRUNCATE, PERSIST, MEMORY and OFF; a super-journal) the place is kept until the commit is durable.
/// </para>
/// <para>
/// <b>Who sees a version that is not durable.</b> A writer has to begin with it; a reader may not see it, for it
/// could return rows that a loss of power takes back. Both begin with SHARED, and page 1. They are told apart by what
/// SQLite does after RESERVED was refused: it releases SHARED, and its own busy handler sleeps
/// (sqliteDefaultBusyCallback calls xSleep of the connection's VFS). After that sleep it always tries again, SHARED
/// and then RESERVED (sqlite3BtreeBeginTrans). So the sleep is where a writer stands in line, and the handle that was
/// called there is the only one whose SHARED pins the version that was appended last. All others pin the newest that
/// is published. When this VFS is the default one, xSleep is also sqlite3_sleep, which anybody may call: then nobody
/// stands in line.
/// </para>
/// <para>
/// <b>Nothing that depends on such a version ends well before it is durable.</b> A commit on top of it comes after it
/// in the log, and waits for its own record. A transaction that has seen it and changes nothing, or is rolled back,
/// waits in COMMIT_PHASETWO or xUnlock. A handle that was called, and reads more than page 1 without RESERVED, waits
/// before it reads. What a write transaction is shown before it ends may be of a commit whose sync is under way; it
/// fails when that does. Two ends cannot fail, for SQLite asks no VFS for an answer there: ROLLBACK returns SQLITE_OK,
/// and a statement that failed by a constraint keeps its code. The last error says it then, and nobody begins to
/// write any more.
/// </para>
/// <para>
/// <b>When the sync fails</b>, the store is poisoned, as ever: the commit, and all on top of it, fail. Nobody begins
/// to write any more (RESERVED is refused), and whoever had begun reads on from the pages that the failed commit
/// leaves, until it is told.
/// </para>
/// </remarks>
internal sealed partial class MainFile
{
    // The handle whose RESERVED was refused last on this thread, with no lock asked for since.
    [ThreadStatic] static MainFile? refused;
    // The handle whose commit this thread is in, from FCNTL_SYNC on.
    [ThreadStatic] static MainFile? committing;

    readonly Action letNextWrite;
    WaitingWriter? turn;
    bool isClosed;

    /// <summary>
    /// SQLite sleeps in a busy handler on this thread. False when it does not wait for the writer's place; else it has
    /// slept in line, no longer than it wanted to.
    /// </summary>
    public static bool TrySleepInLine(int microseconds)
    {
        // Not at all while it keeps SHARED (locking_mode=EXCLUSIVE): it would not pin anew.
        if (refused is not { Level: LockLevel.None, isClosed: false } handle) return false;
        refused = null;
        handle.SleepInLine(microseconds);
        return true;
    }

    void SleepInLine(int microseconds)
    {
        var own = turn ??= new WaitingWriter();
        own.BeginSleep();
        WaitingWriter? next;
        lock (open.Gate) next = open.Line.Join(own, isFree: open.Writer is null);
        next?.Wake();
        own.Sleep(microseconds);
        lock (open.Gate)
        {
            own.IsAsleep = false;
            own.AwakeSince = Environment.TickCount64;
        }
    }

    /// <summary>The handle closes.</summary>
    void LeaveLine()
    {
        isClosed = true;
        if (ReferenceEquals(refused, this)) refused = null;
        if (turn is not { } own) return;
        WaitingWriter? next;
        lock (open.Gate) next = open.Line.Leave(own);
        next?.Wake();
    }

    int Refuse(int code)
    {
        refused = this;
        return code;
    }

    /// <summary>
    /// The journal of a database was deleted: when that is part of this thread's commit, xUnlock follows it.
    /// </summary>
    public static void JournalDeleted(OpenDatabase database)
    {
        if (committing is { } handle && ReferenceEquals(handle.open, database))
            handle.transaction?.JournalDeleted();
    }

    /// <summary>Whether the next writer may go on as soon as this commit is appended.</summary>
    bool CanLetGo(Transaction own) => own is { IsUnlockedNext: true, IsSynced: true } && !IsLocking && !open.IsWalRegime
        && own.Pages.ChangesOnlyPages;

    /// <summary>Gives the writer's place to the next in line. Under the gate; the caller wakes it.</summary>
    WaitingWriter? GiveUpPlace()
    {
        if (!ReferenceEquals(open.Writer, held)) return null;
        open.Writer = null;
        return open.Line.CallNext();
    }

    void LetNextWrite()
    {
        WaitingWriter? next;
        lock (open.Gate) next = GiveUpPlace();
        next?.Wake();
    }

    /// <summary>
    /// Before a transaction ends that may have told somebody what it saw. Throws when that will never be durable.
    /// </summary>
    void WaitForWhatWasSeen(DatabaseVersion? seen)
    {
        if (seen is { IsAhead: true }) Store.WaitDurable(seen);
    }
}
