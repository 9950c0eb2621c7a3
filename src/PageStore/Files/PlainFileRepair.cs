using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Files;

/// <summary>What is done to plain files that nobody has open, after a crash.</summary>
internal static class PlainFileRepair
{
    /// <summary>Cuts off what the log does not know of; what it knows of must be there.</summary>
    public static void CutTo(ILogDisk disk, string path, string name, long size)
    {
        long length = -1;
        if (disk.Exists(path))
        {
            using var handle = disk.Open(path, LogFileMode.Write);
            length = handle.SizeBytes;
            if (length > size) handle.Truncate(size);
        }
        if (length < size)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The plain file {name} ({path}) holds {Math.Max(length, 0)} bytes where the log says {size}.",
                "Restore the store from its remote, or from a backup of the directory.")
            { Path = path };
    }

    /// <summary>
    /// Syncs a file that may be deleted meanwhile. Nobody needs to have it open: what the system could not write since
    /// it was closed is told to whoever opens it next.
    /// </summary>
    public static void SyncIfThere(ILogDisk disk, string path)
    {
        if (!disk.Exists(path)) return;
        try
        {
            using var file = disk.Open(path, LogFileMode.Write);
            file.SyncData();
        }
        catch (RecoveryException) when (!disk.Exists(path))
        {
        }
    }
}
