using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// The directory of a <c>file://</c> remote, to which others may have the right to write. Each step below it is taken
/// from an open directory (<c>openat</c>), and none follows a symbolic link: whoever plants one finds it refused by
/// name, and nothing read, written or deleted where it leads.
/// </summary>
/// <remarks>
/// What it makes is its owner's alone, 0700 and 0600. A directory that was made for a group (set-group-ID, as <c>chmod
/// 2750</c> does) passes its group's rights on.
/// </remarks>
sealed class ObjectDirectory(string root)
{
    const int OwnerOnly = 0x1C0 /* 0700 */, SetGroup = 0x400 /* 02000 */;
    const int GroupRights = 0x38 /* 0070 */, NoExecution = 0x1B6 /* 0666 */;

    /// <summary>A directory of it, open, and a name in it.</summary>
    public readonly struct Place(SafeFileHandle directory, string name, string path) : IDisposable
    {
        public SafeFileHandle Directory { get; } = directory;
        public string Name { get; } = name;
        public string Path { get; } = path;
        public void Dispose() => Directory.Dispose();
    }

    /// <summary>
    /// Where an object is. Throws DirectoryNotFound when one of the directories on the way is missing, and is not to be
    /// made.
    /// </summary>
    public Place Find(string name, bool create = false)
    {
        var directory = OpenRoot(create);
        var path = root;
        try
        {
            var parts = name.Split('/');
            foreach (var part in parts[..^1])
            {
                path = System.IO.Path.Combine(path, part);
                var next = OpenDirectory(directory, part, path, create);
                directory.Dispose();
                directory = next;
            }
            return new Place(directory, parts[^1], System.IO.Path.Combine(path, parts[^1]));
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    SafeFileHandle OpenRoot(bool create)
    {
        // The way to it is its user's choice, links and all.
        if (create && !Directory.Exists(root))
        {
            if (System.IO.Path.GetDirectoryName(root) is { } parent) Directory.CreateDirectory(parent);
            if (Posix.MakeDirectory(root, OwnerOnly) != 0
                && Marshal.GetLastPInvokeError() is var error and not DiskErrors.EEXIST)
                throw Failure("mkdir", root, error);
        }
        var descriptor = Posix.Open(root, Posix.O_RDONLY | Posix.O_DIRECTORY | Posix.O_CLOEXEC, 0);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, true)
            : throw Failure("open", root, Marshal.GetLastPInvokeError());
    }

    static SafeFileHandle OpenDirectory(SafeFileHandle parent, string name, string path, bool create)
    {
        for (var tries = 0; ; tries++)
        {
            var descriptor =
                Calls.OpenAt(parent, name, Posix.O_RDONLY | Posix.O_DIRECTORY | Posix.O_NOFOLLOW | Posix.O_CLOEXEC, 0);
            if (descriptor >= 0) return new SafeFileHandle(descriptor, true);
            var error = Marshal.GetLastPInvokeError();
            if (error != DiskErrors.ENOENT || !create || tries > 0) throw Failure("open", path, error);
            if (Calls.MakeDirectoryAt(parent, name, DirectoryMode(parent)) == 0) Sync(parent, path);
            else if (Marshal.GetLastPInvokeError() is var refused and not DiskErrors.EEXIST)
                throw Failure("mkdir", path, refused);
        }
    }

    static int DirectoryMode(SafeFileHandle parent)
    {
        var mode = Posix.ModeOf(parent);
        return mode > 0 && (mode & SetGroup) != 0 ? OwnerOnly | (mode & GroupRights) : OwnerOnly;
    }

    /// <summary>Opens a file for reading; null when there is none. What is no regular file is an error.</summary>
    public FileStream? OpenRead(string name)
    {
        try
        {
            using var place = Find(name);
            var descriptor =
                Calls.OpenAt(place.Directory, place.Name,
                Posix.O_RDONLY | Posix.O_NOFOLLOW | Posix.O_NONBLOCK | Posix.O_CLOEXEC, 0);
            if (descriptor < 0) throw Failure("open", place.Path, Marshal.GetLastPInvokeError());
            var handle = new SafeFileHandle(descriptor, true);
            if (Posix.IsRegular(handle)) return new FileStream(handle, FileAccess.Read, 0);
            handle.Dispose();
            throw new IOException($"{place.Path} is not a regular file");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException) { return null; }
    }

    /// <summary>A new file, which nobody had; readable and writable.</summary>
    public static FileStream Create(in Place place)
    {
        var descriptor =
            Calls.OpenAt(place.Directory, place.Name,
            Posix.O_RDWR | Posix.O_CREAT | Posix.O_EXCL | Posix.O_NOFOLLOW | Posix.O_CLOEXEC,
            DirectoryMode(place.Directory) & NoExecution);
        if (descriptor < 0) throw Failure("create", place.Path, Marshal.GetLastPInvokeError());
        return new FileStream(new SafeFileHandle(descriptor, true), FileAccess.ReadWrite, 0);
    }

    /// <summary>Whether there is something of that name, be it what it may.</summary>
    public static bool Exists(in Place place)
    {
        Span<byte> status = stackalloc byte[256];
        if (Posix.StatX(place.Directory, place.Name, NoFollow, 0, ref status[0]) == 0) return true;
        return Marshal.GetLastPInvokeError() is var error && error == DiskErrors.ENOENT
            ? false
            : throw Failure("look at", place.Path, error);
    }

    /// <summary>
    /// Gives a complete file its name, unless that is taken (false). A hard link does it on most file systems; where
    /// there are none (FAT, some network shares), a rename that refuses to replace.
    /// </summary>
    public static bool TryPublish(in Place temporary, in Place place)
    {
        const int notPermitted = 1 /* EPERM */, tooManyLinks = 31 /* EMLINK */, noReplace = 1 /* RENAME_NOREPLACE */;
        if (Calls.LinkAt(temporary.Directory, temporary.Name, place.Directory, place.Name, 0) == 0) return true;
        var error = Marshal.GetLastPInvokeError();
        if (error is notPermitted or DiskErrors.EOPNOTSUPP or DiskErrors.ENOSYS or tooManyLinks)
        {
            if (Calls.RenameAt2(temporary.Directory, temporary.Name, place.Directory, place.Name, noReplace) == 0)
                return true;
            error = Marshal.GetLastPInvokeError();
        }
        return error == DiskErrors.EEXIST ? false : throw Failure("link", place.Path, error);
    }

    /// <summary>Takes a name away; there may be nothing of that name.</summary>
    public static void Delete(in Place place)
    {
        if (Calls.UnlinkAt(place.Directory, place.Name, 0) != 0
            && Marshal.GetLastPInvokeError() is var error and not DiskErrors.ENOENT)
            throw Failure("delete", place.Path, error);
    }

    /// <summary>Makes the names in a directory durable.</summary>
    public static void Sync(SafeFileHandle directory, string path)
    {
        if (Posix.Sync(directory) != 0) throw Failure("fsync", path, Marshal.GetLastPInvokeError());
    }

    /// <summary>
    /// The regular files below one of its directories, by their names in it. What links lead to is not among them.
    /// </summary>
    public IEnumerable<string> Files(string below)
    {
        // By its way from the root, so that a link on it is refused.
        using (Find(below.Length == 0 ? "." : below + "/.")) { }
        var options =
            new EnumerationOptions
            {
                RecurseSubdirectories = true,
                AttributesToSkip = FileAttributes.ReparsePoint,
                IgnoreInaccessible = false
            };
        return Directory.EnumerateFiles(System.IO.Path.Combine(root, below), "*", options)
            .Select(path => System.IO.Path.GetRelativePath(root, path));
    }

    /// <summary>Whether an error says that the disk or a quota is full.</summary>
    public static bool IsNoSpace(IOException e) => (e.HResult & 0xFFFF) is DiskErrors.ENOSPC or DiskErrors.EDQUOT;

    const int NoFollow = 0x100 /* AT_SYMLINK_NOFOLLOW */;

    static Exception Failure(string call, string path, int error)
    {
        const int notADirectory = 20 /* ENOTDIR */, tooManyLinks = 40 /* ELOOP */;
        return error switch
        {
            tooManyLinks or notADirectory
                => new IOException(
                    $"{path} is a symbolic link, or no directory: links are not followed in a remote. Put the "
                        + "directory itself there, or mount it", error),
            DiskErrors.ENOENT when call == "open" => new DirectoryNotFoundException($"There is no {path}"),
            DiskErrors.EACCES
                => new UnauthorizedAccessException($"{call} {path}: {Marshal.GetPInvokeErrorMessage(error)}"),
            _ => new IOException($"{call} {path}: {Marshal.GetPInvokeErrorMessage(error)}", error),
        };
    }
}

/// <summary>System calls that start from an open directory.</summary>
static partial class Calls
{
    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int OpenAt(SafeFileHandle directory, string name, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int MakeDirectoryAt(SafeFileHandle directory, string name, int mode);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int UnlinkAt(SafeFileHandle directory, string name, int flags);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int LinkAt(SafeFileHandle fromDirectory, string from, SafeFileHandle toDirectory, string to,
        int flags);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int RenameAt2(SafeFileHandle fromDirectory, string from, SafeFileHandle toDirectory,
        string to, uint flags);
}
