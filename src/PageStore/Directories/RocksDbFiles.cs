using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>RocksDB's files in a directory that may have others.</summary>
internal static class RocksDbFiles
{
    /// <summary>Whether a file of that name is one that is recorded, and so restored.</summary>
    public static bool Are(string name) => TrackedName.RocksClassOf(name) is not null;

    /// <summary>Takes those away that are to go, and nothing else.</summary>
    public static void Remove(ILogDisk disk, string directory, Func<string, bool> isToGo)
    {
        foreach (var name in disk.List(directory))
            if (Are(name) && isToGo(name)) disk.Delete(Path.Combine(directory, name));
    }
}
