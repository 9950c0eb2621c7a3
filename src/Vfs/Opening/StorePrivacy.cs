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
        if ((store.Rights & Beyond & ~wanted) == 0
            || !LocalDisk.TrySetRights(directory, store.Rights & (wanted | ~Beyond)))
            return;
        Failures.Report(Sqlite.Warning,
            $"The store {directory} could be read by users who may not read {path} (mode {Octal(store.Rights)} "
                + $"beside {Octal(file.Rights)}); it cannot any more.");
    }

    static string Octal(int rights) => Convert.ToString(rights, 8).PadLeft(4, '0');
}
