namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>Those who wait for an LSN to be in the remote. Thread-safe.</summary>
sealed class ShippedWaiters
{
    readonly Lock gate = new();
    readonly PriorityQueue<TaskCompletionSource, ulong> waiting = new();
    Exception? failed;

    /// <summary>The smallest LSN that somebody waits for; null when nobody waits.</summary>
    public ulong? First
    {
        get
        {
            lock (gate)
            {
                while (waiting.TryPeek(out var first, out _) && first.Task.IsCompleted) waiting.Dequeue();
                return waiting.TryPeek(out _, out ulong lsn) ? lsn : null;
            }
        }
    }

    /// <summary>
    /// Completes when <see cref="Reached"/> tells of the LSN; fails when nothing more will be shipped.
    /// </summary>
    public Task Add(ulong lsn, ulong reached, CancellationToken cancellation)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (reached >= lsn) return Task.CompletedTask;
            if (failed is not null) return Task.FromException(Again(failed));
            waiting.Enqueue(done, lsn);
        }
        return cancellation.CanBeCanceled ? CancellableAsync(done, cancellation) : done.Task;
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
            done.TrySetResult();
        }
    }

    public void Fail(Exception why)
    {
        lock (gate)
        {
            failed ??= why;
            while (waiting.TryDequeue(out var done, out _)) done.TrySetException(Again(why));
        }
    }

    /// <summary>One that was given up stays in the queue until its LSN is reached, and is passed over then.</summary>
    static async Task CancellableAsync(TaskCompletionSource done, CancellationToken cancellation)
    {
        await using (
            cancellation.UnsafeRegister(static (state, token) => ((TaskCompletionSource)state!).TrySetCanceled(token),
            done))
            await done.Task;
    }

    /// <summary>Several threads throw it, each needs its own.</summary>
    static Exception Again(Exception e) => e is RecoveryException r ? r.Again() : e;
}
