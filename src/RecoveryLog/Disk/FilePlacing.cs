using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>
/// Puts a small file in the place of nothing, or of a file that may go, in a directory that others may write, too: at
/// once or not at all, never in the place of anything else, and never through a link.
/// </summary>
internal static class FilePlacing
{
    const uint NoReplace = 1, Exchange = 2;
    const int EINVAL = 22, SetLock = 37;
    const short WriteLock = 1;
    const int RightsOfNew = 0x1A4; // 0644, less the umask: what SQLite gives a new database

    /// <summary>SQLite's byte in a database file that whoever is about to write it has locked.</summary>
    const long ReservedByte = 0x40000001;

    /// <summary>Makes an empty file, as SQLite makes a database; false when the name is taken.</summary>
    public static bool TryCreateEmpty(string path)
    {
        var descriptor =
            Posix.Open(path, Posix.O_RDWR | Posix.O_CREAT | Posix.O_EXCL | Posix.O_NOFOLLOW | Posix.O_CLOEXEC,
            RightsOfNew);
        if (descriptor >= 0)
        {
            new SafeFileHandle(descriptor, ownsHandle: true).Dispose();
            return true;
        }
        return Marshal.GetLastPInvokeError() is var errno && errno == DiskErrors.EEXIST
            ? false
            : throw DiskErrors.From(DiskOperation.Open, path, errno);
    }

    /// <summary>Takes a name away if that can be.</summary>
    public static void TryRemove(string path) => _ = Posix.Unlink(path);

    /// <summary>
    /// Places a file; false, with nothing changed, when something lies there that <paramref name="mayGo"/>, given its
    /// beginning, does not let go, that is no file, or that another SQLite is about to write. What it replaces passes
    /// on its owner and rights.
    /// </summary>
    public static bool TryPlace(string path, ReadOnlySpan<byte> content, Func<byte[], bool> mayGo)
    {
        var temporary = $"{path}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}.tmp";
        try
        {
            if (FileNode.At(path) is { } known) return TryReplace(path, temporary, content, mayGo, known);
            WriteNew(temporary, content, null);
            if (Posix.Rename(temporary, path, NoReplace) == 0) return true;
            var errno = Marshal.GetLastPInvokeError();
            if (errno is EINVAL or DiskErrors.ENOSYS)
            {
                // A file system without that way has links.
                if (Posix.Link(temporary, path) == 0) return true;
                errno = Marshal.GetLastPInvokeError();
            }
            return errno == DiskErrors.EEXIST ? false : throw DiskErrors.From(DiskOperation.Rename, path, errno);
        }
        finally
        {
            _ = Posix.Unlink(temporary);
        }
    }

    static bool TryReplace(string path, string temporary, ReadOnlySpan<byte> content, Func<byte[], bool> mayGo,
        FileNode known)
    {
        if (!known.IsRegular) return false;
        using var old = OpenOld(path);
        if (!FileNode.Of(old, path).IsSame(known) || !TryLock(old) || !mayGo(Beginning(old, path))) return false;
        WriteNew(temporary, content, known);
        if (Posix.Rename(temporary, path, Exchange) != 0)
        {
            if (Marshal.GetLastPInvokeError() is var errno and not (EINVAL or DiskErrors.ENOSYS))
                throw DiskErrors.From(DiskOperation.Rename, path, errno);
            LocalDisk.Instance.Rename(temporary, path);
            return true;
        }
        // What came out must be what was looked at; it goes when the caller's name for it does.
        if (FileNode.At(temporary) is { } gone && gone.IsSame(known)) return true;
        if (Posix.Rename(temporary, path, Exchange) != 0)
            throw DiskErrors.From(DiskOperation.Rename, path, Marshal.GetLastPInvokeError());
        return false;
    }

    static SafeFileHandle OpenOld(string path)
    {
        foreach (var access in (ReadOnlySpan<int>)[Posix.O_RDWR, Posix.O_RDONLY])
            if (Posix.Open(path, access | Posix.O_NOFOLLOW | Posix.O_NONBLOCK | Posix.O_CLOEXEC, 0) is var descriptor
                and >= 0)
                return new(descriptor, ownsHandle: true);
        throw DiskErrors.From(DiskOperation.Open, path, Marshal.GetLastPInvokeError());
    }

    /// <summary>
    /// Another SQLite, in this process or another, that is about to write the file has this lock; while we have it none
    /// comes to be.
    /// </summary>
    static bool TryLock(SafeFileHandle file)
    {
        var wanted = new Posix.FileLock { Type = WriteLock, Start = ReservedByte, Length = 1 };
        return Posix.Control(file, SetLock, ref wanted) == 0
            || Marshal.GetLastPInvokeError() is not (DiskErrors.EAGAIN or DiskErrors.EACCES);
    }

    static byte[] Beginning(SafeFileHandle file, string path)
    {
        var bytes = new byte[128];
        var count = Posix.Read(file, ref bytes[0], (nuint)bytes.Length, 0);
        return count >= 0
            ? bytes[..(int)count]
            : throw DiskErrors.From(DiskOperation.Read, path, Marshal.GetLastPInvokeError());
    }

    static void WriteNew(string path, ReadOnlySpan<byte> content, FileNode? like)
    {
        var descriptor =
            Posix.Open(path, Posix.O_RDWR | Posix.O_CREAT | Posix.O_EXCL | Posix.O_NOFOLLOW | Posix.O_CLOEXEC,
            like is null ? RightsOfNew : 0x180);
        if (descriptor < 0) throw DiskErrors.From(DiskOperation.Open, path, Marshal.GetLastPInvokeError());
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        new LocalFile(handle, path).Write(0, content);
        if (like is { } old)
        {
            // Only root gives files away; without that right the file stays the writer's.
            if (FileNode.Of(handle, path) is var made && (made.Owner != old.Owner || made.Group != old.Group))
                _ = Posix.SetOwner(handle, old.Owner, old.Group);
            if (Posix.SetRights(handle, old.Rights) != 0)
                throw DiskErrors.From(DiskOperation.Write, path, Marshal.GetLastPInvokeError());
        }
        if (Posix.Sync(handle) != 0) throw DiskErrors.From(DiskOperation.Sync, path, Marshal.GetLastPInvokeError());
    }
}
