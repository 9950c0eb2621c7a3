using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>
/// Files in directories that others may write to. Opened for reading, a symbolic link is not followed, and what is no
/// regular file (a FIFO would hang, a device answer anything) is refused by name; made, a file is new, or not made, and
/// its owner's alone.
/// </summary>
internal static class RegularFile
{
    const int TooManyLinks = 40 /* ELOOP */;

    /// <summary>
    /// Opens a file. Throws what <see cref="FileStream"/> throws, and an <see cref="IOException"/> on anything that is
    /// no regular file.
    /// </summary>
    public static FileStream OpenRead(string path)
    {
        var handle = Open(path);
        try
        {
            if (!Posix.IsRegular(handle))
                throw new IOException($"{path} is not a regular file, and was not read. Take it away.");
            return new FileStream(handle, FileAccess.Read, 0);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Makes a file, 0600, for reading and writing. Throws IOException when there is anything of that name, a link too.
    /// </summary>
    public static FileStream CreateNew(string path)
    {
        const int ownerOnly = 0x180; // 0600
        var descriptor =
            Posix.Open(path, Posix.O_RDWR | Posix.O_CREAT | Posix.O_EXCL | Posix.O_NOFOLLOW | Posix.O_CLOEXEC,
            ownerOnly);
        if (descriptor >= 0)
            return new FileStream(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.ReadWrite, 0);
        var error = Marshal.GetLastPInvokeError();
        throw error is DiskErrors.EACCES or DiskErrors.EPERM
            ? new UnauthorizedAccessException($"{path}: {Marshal.GetPInvokeErrorMessage(error)}")
            : new IOException($"{path} cannot be made: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    static SafeFileHandle Open(string path)
    {
        while (true)
        {
            var descriptor =
                Posix.Open(path, Posix.O_RDONLY | Posix.O_NOFOLLOW | Posix.O_NONBLOCK | Posix.O_CLOEXEC, 0);
            if (descriptor >= 0) return new SafeFileHandle(descriptor, ownsHandle: true);
            var error = Marshal.GetLastPInvokeError();
            switch (error)
            {
                case DiskErrors.EINTR: break;
                case DiskErrors.ENOENT: throw new FileNotFoundException($"There is no {path}.", path);
                case DiskErrors.EACCES:
                    throw new UnauthorizedAccessException(
                    $"{path}: {Marshal.GetPInvokeErrorMessage(error)}");
                case TooManyLinks:
                    throw new IOException(
                    $"{path} is a symbolic link, and was not followed. Put the file itself there.");
                default: throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(error)}", error);
            }
        }
    }
}
