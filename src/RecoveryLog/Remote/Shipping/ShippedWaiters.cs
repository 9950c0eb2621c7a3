namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>Those who wait for an LSN to be in the remote. Thread-safe.</summary>
sealed class ShippedWaiters
{
    readonly Lock gate = new();
    readonly PriorityQueue<TaskCompletionSource, ulong> waiting = new();
    Exception? failed;

    /// <summary>The smallest LSN that somebody waits for; null when nobody waits.</summary>
    public ulong? First
    {
        get { lock (gate) return waiting.TryPeek(out _, out ulong lsn) ? lsn : null; }
    }

    /// <summary>Completes when <see cref="Reached"/> tells of the LSN; fails when nothing more will be shipped.</summary>
    public Task Add(ulong lsn, ulong reached, CancellationToken cancellation)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (reached >= lsn) return Task.CompletedTask;
            if (failed is not null) return Task.FromException(Again(failed));
            waiting.Enqueue(done, lsn);
        }
        return cancellation.CanBeCanceled ? done.Task.WaitAsync(cancellation) : done.Task;
    }

    public void Reached(ulong lsn)
    {
        for (; ; )
        {
            TaskCompletionSource done;
            lock (gate)
            {
                if (!waiting.TryPeek(out _, out ulong first) || first > lsn) return;
                done = waiting.Dequeue();
            }
            done.SetResult();
        }
    }

    public void Fail(Exception why)
    {
        lock (gate)
        {
            failed ??= why;
            while (waiting.TryDequeue(out var done, out _)) done.SetException(Again(why));
        }
    }

    /// <summary>Several threads throw it, each needs its own.</summary>
    static Exception Again(Exception e) => e is RecoveryException r ? new RecoveryException(r.Error, r.Message, r) : e;
}
