namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// Those who wait, asynchronously, for an LSN to be reached. Costs one read of a counter when nobody waits.
/// </summary>
internal sealed class LsnWaiters
{
    readonly Lock gate = new();
    readonly List<(ulong Lsn, TaskCompletionSource Done, CancellationTokenRegistration Cancelled)> waiting = [];
    int count;

    /// <summary>
    /// Completes once <paramref name="reached"/> returns at least the LSN; asked again after the wait is registered.
    /// </summary>
    internal Task Wait(ulong lsn, Func<ulong> reached, CancellationToken cancellation)
    {
        if (reached() >= lsn)
            return Task.CompletedTask;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var registration =
            cancellation.UnsafeRegister(static (state, token) => ((TaskCompletionSource)state!).TrySetCanceled(token),
            done);
        lock (gate)
        {
            waiting.Add((lsn, done, registration));
            Volatile.Write(ref count, waiting.Count);
        }
        // Registered before the second look, so that an advance in between is seen here or sees us.
        Interlocked.MemoryBarrier();
        Advance(reached());
        return done.Task;
    }

    internal void Advance(ulong reached)
    {
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref count) != 0)
            Remove(reached, static done => done.TrySetResult());
    }

    internal void Fail(Func<Exception> why) => Remove(ulong.MaxValue, done => done.TrySetException(why()));

    void Remove(ulong reached, Action<TaskCompletionSource> how)
    {
        lock (gate)
        {
            for (var i = waiting.Count - 1; i >= 0; i--)
            {
                var (lsn, done, cancelled) = waiting[i];
                if (lsn > reached && !done.Task.IsCompleted)
                    continue;
                cancelled.Unregister();
                how(done);
                waiting[i] = waiting[^1];
                waiting.RemoveAt(waiting.Count - 1);
            }
            Volatile.Write(ref count, waiting.Count);
        }
    }
}
