namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// Waiting for one of two tasks, resuming where the caller runs. (Task.WhenAny would go over the thread pool for tasks
/// that complete asynchronously, which a seeded simulation on one thread cannot have.)
/// </summary>
static class Either
{
    /// <summary>Completes, never with an error, when one of them has ended in any way.</summary>
    public static async Task EndsAsync(Task one, Task other)
    {
        if (one.IsCompleted || other.IsCompleted) return;
        var ended = new TaskCompletionSource();
        _ = TellAsync(one, ended);
        _ = TellAsync(other, ended);
        await ended.Task;
    }

    static async Task TellAsync(Task task, TaskCompletionSource ended)
    {
        try { await task; }
        catch (Exception) { }  // the caller looks at the task itself
        ended.TrySetResult();
    }
}
