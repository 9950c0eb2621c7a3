using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Opening;

/// <summary>
/// Keeps a store as private as the databases in it: whoever may not read the file at a database's path must not read
/// its pages in the store. The directory's mode is the gate, and what is made in it has no more.
/// </summary>
internal static class StorePrivacy
{
    const int Owner = 0x1C0, OfGroup = 0x28, OfOthers = 0x5, GroupReads = 0x20, OthersRead = 0x4, Beyond = 0x3F;

    /// <summary>
    /// Makes the store's directory for the database at a path, or takes from it what the database does not allow, and
    /// says so.
    /// </summary>
    public static void Ensure(string directory, string path)
    {
        if (FileNode.At(path) is not { } file) return;
        var wanted = Owner | ((file.Rights & GroupReads) != 0 ? OfGroup : 0)
            | ((file.Rights & OthersRead) != 0 ? OfOthers : 0);
        if (FileNode.At(directory, follow: true) is not { } store)
        {
            LocalDisk.Instance.CreateDirectory(directory, wanted);
            return;
        }
        var kept = store.Rights & (wanted | ~Beyond);
        // From the inside out: the directory is last, so that who is killed begins again.
        if (!StoreRegistry.IsOpen(directory)) TightenWithin(directory, kept);
        if (kept == store.Rights || !LocalDisk.TrySetRights(directory, kept)) return;
        Failures.Report(Sqlite.Warning,
            $"The store {directory} could be read by users who may not read {path} (mode {Octal(store.Rights)} "
                + $"beside {Octal(file.Rights)}); it cannot any more.");
    }

    /// <summary>
    /// Takes from what is in a directory what the directory does not allow: earlier versions made files that all may
    /// read, behind a directory that nobody may enter. It never gives anything, and leaves links and what is not ours
    /// alone. A directory within is gone through only where it still allows too much, so that a store of thousands of
    /// files is gone through once.
    /// </summary>
    static void TightenWithin(string directory, int allowed)
    {
        try
        {
            foreach (var path in Directory.EnumerateFileSystemEntries(directory))
            {
                if (FileNode.At(path) is not { } node || !(node.IsRegular || node.IsDirectory)) continue;
                var kept = node.Rights & (~Beyond | (node.IsDirectory ? allowed : allowed & (GroupReads | OthersRead)));
                if (kept == node.Rights) continue;
                if (node.IsDirectory) TightenWithin(path, kept);
                LocalDisk.TrySetRights(path, kept);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or RecoveryException)
        {
            // It is somebody else's, or gone meanwhile: whoever opens the store is told what is wrong with it.
        }
    }

    static string Octal(int rights) => Convert.ToString(rights, 8).PadLeft(4, '0');
}
