namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// Who waits for a shipper, and for what. Thread-safe; continuations never run in the shipper's loop.
/// </summary>
internal sealed class ShipperWaits
{
    readonly ShippedWaiters urgent = new(), patient = new();
    readonly TaskCompletionSource<RemoteLog> connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource looked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    TaskCompletionSource wake = NewWake();
    ulong shippedLsn;

    /// <summary>The newest LSN that the remote is known to have.</summary>
    public ulong ShippedLsn => Volatile.Read(ref shippedLsn);

    /// <summary>The remote's log, once it was reached; fails when it never can be.</summary>
    public Task<RemoteLog> Connected => connected.Task;

    /// <summary>Completes, and never fails, when it was asked whose the remote is.</summary>
    public Task Looked => looked.Task;

    /// <summary>The smallest LSN that somebody wants shipped at once; null when nobody does.</summary>
    public ulong? First => urgent.First;

    /// <summary>Completes when somebody comes who wants something shipped at once.</summary>
    public Task NextWake => Volatile.Read(ref wake).Task;

    /// <summary>Completes when an LSN was shipped; asks for that at once.</summary>
    public Task Wait(ulong lsn, CancellationToken cancellation)
    {
        var waiting = urgent.Add(lsn, ShippedLsn, cancellation);
        if (waiting.IsCompleted) return waiting;
        // Shipped between the look and the registration?
        urgent.Reached(ShippedLsn);
        Interlocked.Exchange(ref wake, NewWake()).TrySetResult();
        return waiting;
    }

    /// <summary>Completes when an LSN was shipped; asks for nothing.</summary>
    public Task When(ulong lsn, CancellationToken cancellation)
    {
        var waiting = patient.Add(lsn, ShippedLsn, cancellation);
        patient.Reached(ShippedLsn);
        return waiting;
    }

    public void HasConnected(RemoteLog remote) => connected.TrySetResult(remote);

    public void HasLooked() => looked.TrySetResult();

    /// <summary>Notes that the remote has an LSN. Whoever waits for it is told by <see cref="Reached"/>.</summary>
    public void Note(ulong lsn) => Volatile.Write(ref shippedLsn, lsn);

    /// <summary>Tells those who wait for what was shipped.</summary>
    public void Reached()
    {
        urgent.Reached(ShippedLsn);
        patient.Reached(ShippedLsn);
    }

    /// <summary>Nothing more will be shipped: tells all who wait, and who will.</summary>
    public void Fail(RecoveryException why)
    {
        urgent.Fail(why);
        patient.Fail(why);
        connected.TrySetException(why);
        // Nobody may ever ask.
        _ = connected.Task.Exception;
        looked.TrySetResult();
    }

    static TaskCompletionSource NewWake() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
