using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>
/// The lock of a store directory: an advisory lock on its file LOCK (released by the system when the process dies),
/// with the holder's process in it for whoever comes second.
/// </summary>
internal sealed class StoreLock : IDisposable
{
    const int NoAccess = 13, TooManyFiles = 24, TooManyFilesInSystem = 23, ReadOnlyDisk = 30;

    /// <summary>Takes the lock, or throws Busy naming the holder.</summary>
    public static StoreLock Take(string directory)
    {
        var path = new StoreHome(directory).Lock;
        var taken = LockFile.TryTake(path,
            $"pid {Environment.ProcessId} ({File.ReadAllText("/proc/self/comm").Trim()})\n", out var error);
        return taken is null ? throw Refused(directory, path, error) : new StoreLock(taken, path);
    }

    /// <summary>
    /// The same; nothing for a disk that is handed in: it is not the system's, and nobody else can open it.
    /// </summary>
    public static StoreLock? TakeFor(StoreOptions options) => options.Disk is LocalDisk
        ? Take(options.Directory)
        : null;

    readonly LockFile file;
    readonly string path;
    readonly FileIdentity? identity;

    /// <summary>Who has the lock of a store, in words; null when nobody has. Changes nothing.</summary>
    public static string? HolderOf(string directory)
    {
        var path = new StoreHome(directory).Lock;
        if (!LockFile.IsHeld(path)) return null;
        return LockFile.ReadText(path) is { Length: > 0 } holder ? holder : "another process";
    }

    StoreLock(LockFile file, string path)
    {
        this.file = file;
        this.path = path;
        identity = FileIdentities.Of(path);
    }

    /// <summary>
    /// Whether the directory still has the file that is locked: nobody has deleted, moved or replaced it. One system
    /// call.
    /// </summary>
    public bool IsInPlace => identity is null || FileIdentities.Of(path) == identity;

    public void Dispose() => file.Dispose();

    static RecoveryException Refused(string directory, string path, int error)
    {
        switch (error)
        {
            case LockFile.Held:
                var holder = LockFile.ReadText(path);
                return holder.StartsWith($"pid {Environment.ProcessId} ", StringComparison.Ordinal)
                    ? new RecoveryException(RecoveryError.Busy,
                        $"The store {directory} is open in this process already: through another SQLite library (a "
                            + "provider and an extension?), or as that of a RocksDB.",
                        "Use one of them.")
                    { Path = directory }
                    : new RecoveryException(RecoveryError.Busy,
                        $"The store {directory} is open for writing in another process: "
                            + $"{(holder.Length > 0 ? holder : "unknown")}.",
                        "One process writes a store at a time: close it there first, or read it with mode=ro.")
                    { Path = directory };
            case NoAccess:
                return new RecoveryException(RecoveryError.CannotOpen,
                    $"No right to write {path}.",
                    "Give this user write access to the directory.")
                { Path = path };
            case ReadOnlyDisk:
                return new RecoveryException(RecoveryError.CannotOpen,
                    $"{path} lies on a read-only disk.",
                    "To read, open it with mode=ro; to write, remount the disk for writing.")
                { Path = path };
            case TooManyFiles or TooManyFilesInSystem:
                return new RecoveryException(RecoveryError.CannotOpen,
                    $"Cannot open {path}: too many open files.",
                    "Raise the limit (ulimit -n).")
                { Path = path };
            default:
                return new RecoveryException(RecoveryError.CannotOpen,
                    $"Cannot open {path} (error {error}).",
                    "See whether the directory exists and its disk is sound.")
                { Path = path };
        }
    }
}
