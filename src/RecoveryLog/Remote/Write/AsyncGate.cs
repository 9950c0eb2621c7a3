namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// One at a time, in order of arrival, without blocking a thread. (SemaphoreSlim would resume waiters on the thread
/// pool, which a seeded simulation on one thread cannot have.)
/// </summary>
sealed class AsyncGate
{
    readonly Lock @lock = new();
    readonly Queue<TaskCompletionSource> waiting = new();
    bool taken;

    public async ValueTask<Turn> EnterAsync()
    {
        TaskCompletionSource? turn = null;
        lock (@lock)
        {
            if (taken)
                waiting.Enqueue(turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            taken = true;
        }
        if (turn is not null) await turn.Task;
        return new Turn(this);
    }

    void Leave()
    {
        TaskCompletionSource? next;
        lock (@lock) taken = waiting.TryDequeue(out next);
        next?.SetResult();
    }

    public readonly struct Turn(AsyncGate gate) : IDisposable
    {
        public void Dispose() => gate.Leave();
    }
}
