using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// The thread that brings pending commits into the page store, in LSN order and merged: of many versions of a page only
/// those are written that readers have pinned, and the newest. It makes the log durable up to a commit before the page
/// store gets it, so the page store never holds what the log could lose.
/// </summary>
internal sealed class Applier : IDisposable
{
    static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(200);
    static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    readonly PageApplier apply;
    readonly Action<ulong> makeDurable;
    readonly PendingCommits pending;
    readonly Action afterRound;
    readonly Thread thread;
    readonly object gate = new();
    // Rounds are numbered by the Drain that asked for them; one that failed is tried again.
    long wantedRounds, doneRounds, failedRounds;
    bool urgent, stopping;

    /// <param name="apply">Does the work.</param>
    /// <param name="makeDurable">Called with the LSN up to which the log must be durable first.</param>
    /// <param name="pending">Where commits come from.</param>
    /// <param name="afterRound">Called on the applier's thread when nothing ready is left, or on the way through a long
    /// backlog.</param>
    public Applier(PageApplier apply, Action<ulong> makeDurable, PendingCommits pending, Action afterRound)
    {
        this.apply = apply;
        this.makeDurable = makeDurable;
        this.pending = pending;
        this.afterRound = afterRound;
        Retry = () =>
        {
            lock (gate) Monitor.PulseAll(gate);
        };
        thread = new Thread(Run) { IsBackground = true, Name = "recovery-applier" };
        thread.Start();
    }

    /// <summary>
    /// A commit became ready. Merging gains from waiting, so the thread is only woken when it sleeps for lack of work
    /// or when enough has gathered.
    /// </summary>
    public void Notify()
    {
        var pressing = pending.Bytes > pending.BudgetBytes / 4;
        if (Volatile.Read(ref urgent) || (Volatile.Read(ref hasWork) && !pressing)) return;
        lock (gate)
        {
            hasWork = true;
            urgent |= pressing;
            Monitor.PulseAll(gate);
        }
    }

    bool hasWork;

    /// <summary>Does not wait any longer after a failure. A delegate, since each commit hands it on.</summary>
    public Action Retry { get; }

    /// <summary>
    /// Waits until every commit that is ready now has entered the page store and the after-round work was done once
    /// more. Throws when that failed, but not for a failure of before.
    /// </summary>
    public void Drain()
    {
        lock (gate)
        {
            var target = ++wantedRounds;
            Monitor.PulseAll(gate);
            while (doneRounds < target && !stopping)
            {
                if (failedRounds >= target && pending.Failure is { } failure) throw failure;
                Monitor.Wait(gate, RetryAfter);
            }
        }
    }

    void Run()
    {
        while (true)
        {
            long target;
            lock (gate)
            {
                while (!stopping && !hasWork && doneRounds == wantedRounds) Monitor.Wait(gate);
                if (!stopping && !urgent && doneRounds == wantedRounds) Monitor.Wait(gate, Linger);
                if (stopping) return;
                urgent = hasWork = false;
                target = wantedRounds;
            }
            try
            {
                while (apply.ApplySome(makeDurable) && !Volatile.Read(ref stopping)) afterRound();
                afterRound();
                pending.SetFailure(null);
                lock (gate)
                {
                    doneRounds = target;
                    Monitor.PulseAll(gate);
                }
            }
            catch (Exception e)
            {
                // Writers learn it when their room is used up; readers go on from memory. Space that was freed heals
                // it.
                pending.SetFailure(e as RecoveryException ?? new RecoveryException(RecoveryError.IoWrite,
                    $"Committed pages cannot enter the page store: {e.Message}", e));
                lock (gate)
                {
                    hasWork = true;
                    failedRounds = target;
                    Monitor.PulseAll(gate);
                    if (!stopping) Monitor.Wait(gate, RetryAfter);
                }
            }
        }
    }

    /// <summary>Stops without applying what is pending: it is in the log.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            stopping = true;
            Monitor.PulseAll(gate);
        }
        thread.Join();
    }
}
