using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>
/// Scratch files that have no name: nobody else can open them, and they go with their last handle, however the process
/// ends. 0600 all the same, for what looks through /proc.
/// </summary>
internal static class UnnamedFile
{
    const int OwnerOnly = 0x180; // 0600

    /// <summary>
    /// Makes one on the file system of a directory, for reading and writing. Throws IOException or UnauthorizedAccess,
    /// naming the directory.
    /// </summary>
    public static SafeFileHandle Open(string directory)
    {
        var descriptor = Posix.Open(directory, Posix.O_TMPFILE | Posix.O_RDWR | Posix.O_CLOEXEC, OwnerOnly);
        if (descriptor >= 0) return new SafeFileHandle(descriptor, ownsHandle: true);
        var error = Marshal.GetLastPInvokeError();
        const int isADirectory = 21 /* EISDIR: the kernel does not know O_TMPFILE */;
        if (error is isADirectory or DiskErrors.EOPNOTSUPP or DiskErrors.ENOSYS) return Named(directory);
        throw Failure(directory, error);
    }

    /// <summary>The same, as a stream.</summary>
    public static FileStream OpenStream(string directory, int bufferBytes)
        => new(Open(directory), FileAccess.ReadWrite, bufferBytes);

    /// <summary>The same, for those who read and write at offsets.</summary>
    public static ILogFile OpenLogFile(string directory)
        => new LocalFile(Open(directory), Path.Combine(directory, "(unnamed)"));

    /// <summary>
    /// Where a file system has no unnamed files (NFS, overlayfs of old): made for us alone, and unlinked at once.
    /// </summary>
    static SafeFileHandle Named(string directory)
    {
        var path = Path.Combine(directory, $".recovery-{Guid.NewGuid():N}");
        var descriptor =
            Posix.Open(path, Posix.O_RDWR | Posix.O_CREAT | Posix.O_EXCL | Posix.O_NOFOLLOW | Posix.O_CLOEXEC,
            OwnerOnly);
        if (descriptor < 0) throw Failure(directory, Marshal.GetLastPInvokeError());
        _ = Posix.Unlink(path);
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    static Exception Failure(string directory, int error)
    {
        var message = $"No temporary file can be made in {directory}: {Marshal.GetPInvokeErrorMessage(error)}";
        return error is DiskErrors.EACCES or DiskErrors.EPERM
            ? new UnauthorizedAccessException(message)
            : new IOException(message, error);
    }
}
