using System.Runtime.InteropServices;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>What was being done to a file when the operating system refused.</summary>
internal enum DiskOperation { Open, Read, Write, Sync, Truncate, Rename, Delete, List, CreateDirectory, SyncDirectory }

/// <summary>Turns an errno into the error that a user sees: what happened, to which file, what to do.</summary>
internal static class DiskErrors
{
    internal const int ENOENT = 2, EINTR = 4, EIO = 5, EAGAIN = 11, EACCES = 13, EPERM = 1, EEXIST = 17, ENOTDIR = 20,
        ELOOP = 40, ENFILE = 23, EMFILE = 24, ENOSPC = 28,
        EROFS = 30, ENOSYS = 38, EOPNOTSUPP = 95, EDQUOT = 122;

    internal static RecoveryException From(DiskOperation operation, string path, int errno, long? neededBytes = null)
    {
        var (error, wayOut) = (operation, errno) switch
        {
            (DiskOperation.Sync or DiskOperation.SyncDirectory, _) => (RecoveryError.IoSync,
                "Nobody knows what of the latest writes is on disk; check the disk (kernel log, SMART), then reopen "
                    + "the store."),
            (_, ENOSPC) => (RecoveryError.Full,
                "Free some space on that disk and try again." + DiskRoom.Tell(path, neededBytes)),
            (_, EDQUOT) => (RecoveryError.Full,
                "The disk quota is used up: raise it or free some space, and try again."
                + (neededBytes is { } n ? $" {n:N0} bytes were needed." : "")),
            (_, EROFS) => (RecoveryError.ReadOnly,
                "The file system is mounted read-only: remount it for writing, or open with mode=ro."),
            (DiskOperation.Open or DiskOperation.Read or DiskOperation.Rename, ENOENT) => (RecoveryError.NotFound,
                "Check the path; if the file was there before, restore the store from its remote."),
            (_, EMFILE or ENFILE)
                => (RecoveryError.CannotOpen, "Too many files are open: raise the limit (ulimit -n) or close some."),
            (_, EACCES or EPERM) => (RecoveryError.CannotOpen, "Give this user the rights to it, or run as its owner."),
            (DiskOperation.Open, ELOOP)
                => (RecoveryError.CannotOpen,
                    "It is a symbolic link, where a file of our own is expected: see who put it there."),
            (DiskOperation.Open, _) => (RecoveryError.CannotOpen, "Check the path and the disk."),
            (DiskOperation.Read or DiskOperation.List, _) => (RecoveryError.IoRead,
                "Check the disk (kernel log, SMART); restore the store from its remote when the disk is bad."),
            _ => (RecoveryError.IoWrite, "Check the disk (kernel log, SMART); nothing was changed by this operation."),
        };
        return new RecoveryException(error,
            $"Cannot {Verb(operation)} {path}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).",
            wayOut + AboutTemporaryFiles(path, errno))
        { Path = path };
    }

    /// <summary>What is needed for a while only can be elsewhere.</summary>
    static string AboutTemporaryFiles(string path, int errno)
        => errno is EROFS or EACCES or EPERM or ENOENT or ENOSPC
            && path.StartsWith(Path.GetTempPath(), StringComparison.Ordinal)
            ? " Temporary files go where TMPDIR says."
            : "";

    static string Verb(DiskOperation operation) => operation switch
    {
        DiskOperation.Sync => "sync",
        DiskOperation.SyncDirectory => "sync the directory",
        DiskOperation.CreateDirectory => "create the directory",
        _ => operation.ToString().ToLowerInvariant(),
    };
}
