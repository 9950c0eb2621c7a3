namespace RecoveryVfs.Opening;

/// <summary>
/// A handle in the line: asleep in SQLite's busy handler, or awake for a moment between two such sleeps.
/// </summary>
internal sealed class WaitingWriter
{
    readonly object gate = new();
    bool isWoken;

    public WaitingWriter() => Node = new(this);

    /// <summary>Its place in line.</summary>
    public LinkedListNode<WaitingWriter> Node { get; }

    /// <summary>Whether it sleeps. Guarded by the database's gate, as what follows.</summary>
    public bool IsAsleep { get; set; }

    /// <summary>When its sleep ended.</summary>
    public long AwakeSince { get; set; }

    /// <summary>From here on, a call ends the sleep that follows.</summary>
    public void BeginSleep()
    {
        lock (gate) isWoken = false;
    }

    /// <summary>Sleeps until it is woken, or the time is over. With no lock held.</summary>
    public void Sleep(int microseconds)
    {
        lock (gate)
        {
            if (!isWoken) Monitor.Wait(gate, TimeSpan.FromMicroseconds(microseconds));
            isWoken = false;
        }
    }

    /// <summary>Ends its sleep, or the one it is about to begin.</summary>
    public void Wake()
    {
        lock (gate)
        {
            isWoken = true;
            Monitor.Pulse(gate);
        }
    }
}
