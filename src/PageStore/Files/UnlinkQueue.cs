using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// Files that the log says are gone. Each is unlinked once that is durable; before, a crash could still bring it back.
/// Thread-safe.
/// </summary>
internal sealed class UnlinkQueue(ILogDisk disk)
{
    readonly Lock gate = new();
    readonly Queue<(string Path, ulong Lsn)> queue = new();

    /// <summary>Adds a file with the LSN of the record that says that it is gone.</summary>
    public void Add(string path, ulong lsn)
    {
        lock (gate) queue.Enqueue((path, lsn));
    }

    /// <summary>Unlinks those of which the log is durable.</summary>
    public void UnlinkUpTo(ulong durableLsn)
    {
        while (true)
        {
            string path;
            lock (gate)
            {
                if (!queue.TryPeek(out var next) || next.Lsn > durableLsn) return;
                path = queue.Dequeue().Path;
            }
            disk.Delete(path);
        }
    }
}
