namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// The line of threads that wait for the log to be durable up to a record. One of them leads: its round makes
/// everything durable that is in the log by then. The others sleep until their record is reached, or until it is
/// their turn to lead.
/// </summary>
/// <remarks>
/// <para>
/// A thread is woken once: because its record is reached, or to lead. The lead is handed to whoever waits longest,
/// and no newcomer can take it. So a record waits for two rounds at most: the one under way when it was appended, and
/// the next. Nobody sleeps to let a group gather. It gathers while the round before it is at the disk.
/// </para>
/// <para>
/// A round that fails, fails for all who stand in line. The line is empty then, and the next thread that comes leads a
/// round of its own. So nobody waits for a round that does not come. A thread in line must hold no lock that a round
/// takes.
/// </para>
/// </remarks>
/// <param name="round">Makes durable what is in the log; returns the last LSN that is durable.</param>
internal sealed class SyncLine(Func<ulong> round)
{
    readonly Lock gate = new();
    SyncWaiter? first, last;
    bool isLed;

    /// <summary>
    /// Whether a round is under way or about to begin: a record appended now is made durable by it, or by the next.
    /// </summary>
    public bool IsLed => Volatile.Read(ref isLed);

    /// <summary>How many stand in line, besides the one that leads.</summary>
    public int Waiting
    {
        get
        {
            lock (gate)
            {
                var count = 0;
                for (var each = first; each is not null; each = each.Next) count++;
                return count;
            }
        }
    }

    /// <summary>
    /// Returns when a round has reached the LSN; throws what made it fail. No allocation, and no thread switch when
    /// alone.
    /// </summary>
    public void Reach(ulong lsn)
    {
        if (Join(lsn) is { } waiter && !waiter.WaitForLead()) return;
        ulong reached;
        try
        {
            reached = round();
        }
        catch (Exception e)
        {
            for (var each = TakeAll(); each is not null;) each = each.Wake(e);
            throw;
        }
        var (leader, satisfied) = Take(reached);
        leader?.WakeToLead();
        while (satisfied is not null) satisfied = satisfied.Wake(null);
    }

    /// <summary>Joins the line; null when there is none, and this thread leads.</summary>
    SyncWaiter? Join(ulong lsn)
    {
        lock (gate)
        {
            if (!isLed)
            {
                Volatile.Write(ref isLed, true);
                return null;
            }
            var waiter = SyncWaiter.OfThisThread(lsn);
            if (last is null) first = waiter;
            else last.Next = waiter;
            return last = waiter;
        }
    }

    /// <summary>
    /// Ends a round: takes the next leader, if anybody still waits, and a chain of those whose records are reached.
    /// </summary>
    (SyncWaiter? Leader, SyncWaiter? Satisfied) Take(ulong reached)
    {
        lock (gate)
        {
            var satisfied = new SyncChain();
            var waiting = new SyncChain();
            for (var each = first; each is not null;)
            {
                var next = each.Next;
                if (each.Lsn <= reached) satisfied.Add(each);
                else waiting.Add(each);
                each = next;
            }
            var leader = waiting.First;
            first = leader?.Next;
            last = first is null ? null : waiting.Last;
            Volatile.Write(ref isLed, leader is not null);
            return (leader, satisfied.First);
        }
    }

    SyncWaiter? TakeAll()
    {
        lock (gate)
        {
            var all = first;
            first = last = null;
            Volatile.Write(ref isLed, false);
            return all;
        }
    }
}

/// <summary>A chain of waiters under construction.</summary>
internal struct SyncChain
{
    public SyncWaiter? First { get; private set; }

    public SyncWaiter? Last { get; private set; }

    public void Add(SyncWaiter waiter)
    {
        waiter.Next = null;
        if (Last is null) First = waiter;
        else Last.Next = waiter;
        Last = waiter;
    }
}
