using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// A thread in a <see cref="SyncLine"/>, asleep on a semaphore of its own: one system call to sleep and one to wake,
/// and nobody else wakes with it.
/// </summary>
internal sealed class SyncWaiter
{
    [ThreadStatic] static SyncWaiter? mine;

    // A sem_t; pinned, and kept alive by whoever wakes.
    readonly byte[] semaphore = GC.AllocateArray<byte>(Posix.SemaphoreBytes, pinned: true);
    bool leads;
    Exception? failure;

    SyncWaiter() => Posix.InitializeSemaphore(ref semaphore[0], 0, 0);

    /// <summary>The record it waits for.</summary>
    public ulong Lsn { get; private set; }

    /// <summary>Behind it in line, or in the chain of those who are woken together.</summary>
    public SyncWaiter? Next;

    /// <summary>This thread's, which waits for one record at a time.</summary>
    public static SyncWaiter OfThisThread(ulong lsn)
    {
        var waiter = mine ??= new SyncWaiter();
        (waiter.Lsn, waiter.Next, waiter.leads, waiter.failure) = (lsn, null, false, null);
        return waiter;
    }

    /// <summary>
    /// Sleeps until woken. True: this thread leads now. False: its record is reached. Throws what made the round
    /// fail.
    /// </summary>
    public bool WaitForLead()
    {
        // Interrupted by a signal, it sleeps on.
        while (Posix.WaitForSemaphore(ref semaphore[0]) != 0) { }
        if (failure is not { } e) return leads;
        failure = null;
        throw Again(e);
    }

    public void WakeToLead()
    {
        leads = true;
        Post();
    }

    /// <summary>
    /// Lets it return, or throw; returns the next of the chain, for it belongs to its thread from then on.
    /// </summary>
    public SyncWaiter? Wake(Exception? why)
    {
        var next = Next;
        failure = why;
        Post();
        return next;
    }

    void Post()
    {
        Posix.PostSemaphore(ref semaphore[0]);
        // Its thread may end before the call does.
        GC.KeepAlive(this);
    }

    // A new exception for each thread: several throw it, and each needs its own stack.
    static Exception Again(Exception e) => e switch
    {
        RecoveryException known => known.Again(),
        ObjectDisposedException => new ObjectDisposedException(nameof(LocalLog)),
        _ => new RecoveryException(RecoveryError.IoSync, $"The log could not be made durable: {e.Message}", e),
    };
}
