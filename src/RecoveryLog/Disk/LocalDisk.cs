using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>The real disk of this machine (Linux).</summary>
internal sealed class LocalDisk : ILogDisk
{
    LocalDisk() { }

    /// <summary>The one instance; it holds no state.</summary>
    public static LocalDisk Instance { get; } = new();

    /// <inheritdoc/>
    public ILogFile Open(string path, LogFileMode mode)
    {
        var flags = mode switch
        {
            LogFileMode.Read => Posix.O_RDONLY,
            LogFileMode.Write => Posix.O_RDWR,
            _ => Posix.O_RDWR | Posix.O_CREAT | Posix.O_TRUNC,
        };
        // Nothing that waits (a pipe) or acts (a device) is opened, and no link leads out of a directory of ours.
        var rights = mode == LogFileMode.Create ? RightsIn(Path.GetDirectoryName(path)!) : 0;
        var handle = OpenHandle(path, flags | Posix.O_NOFOLLOW | Posix.O_NONBLOCK, DiskOperation.Open, rights);
        if (FileNode.Of(handle, path) is var node && node.IsRegular) return new LocalFile(handle, path);
        handle.Dispose();
        throw new RecoveryException(RecoveryError.CannotOpen,
            $"{path} is {node.Kind}, where a file of our own is expected: see who put it there.")
        { Path = path };
    }

    /// <inheritdoc/>
    public bool Exists(string path) => File.Exists(path);

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string directory)
    {
        try
        {
            var names = new List<string>();
            foreach (var path in Directory.EnumerateFiles(directory))
                names.Add(Path.GetFileName(path));
            return names;
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (UnauthorizedAccessException)
        {
            throw DiskErrors.From(DiskOperation.List, directory, DiskErrors.EACCES);
        }
        catch (IOException e)
        {
            throw DiskErrors.From(DiskOperation.List, directory,
                e.HResult is > 0 and < 4096 ? e.HResult : DiskErrors.EIO);
        }
    }

    /// <summary>Sets a directory's rights; false when it is somebody else's.</summary>
    public static bool TrySetRights(string path, int rights) => Posix.SetRights(path, rights) == 0;

    /// <inheritdoc/>
    public void CreateDirectory(string path) => CreateDirectory(path, null);

    /// <inheritdoc/>
    public long FreeBytes(string directory) => DiskRoom.FreeAt(directory) ?? long.MaxValue;

    /// <summary>The same with rights of its own, instead of those of the directory in which it is.</summary>
    public void CreateDirectory(string path, int? rights) => CreateDirectory(path, rights, durably: true);

    /// <summary>The same without making it durable.</summary>
    public void CreateDirectoryUnsynced(string path) => CreateDirectory(path, null, durably: false);

    void CreateDirectory(string path, int? rights, bool durably)
    {
        path = Path.GetFullPath(path);
        if (Directory.Exists(path))
            return;
        var parent = Path.GetDirectoryName(path);
        if (parent is not null)
            CreateDirectory(parent, null, durably);
        // A directory inside of another is as private as that. The umask takes its part, and nobody but the owner ever
        // writes.
        if (Posix.MakeDirectory(path, (rights ?? FileNode.At(parent ?? path, follow: true)?.Rights ?? 0x1ED) & 0x1ED
            | 0x1C0) != 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            if (errno != DiskErrors.EEXIST)
                throw DiskErrors.From(DiskOperation.CreateDirectory, path, errno);
        }
        if (parent is not null && durably)
            SyncDirectory(parent);
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        if (Posix.Rename(from, to) != 0)
            throw DiskErrors.From(DiskOperation.Rename, from, Marshal.GetLastPInvokeError());
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        if (Posix.Unlink(path) != 0 && Marshal.GetLastPInvokeError() is var errno and not DiskErrors.ENOENT)
            throw DiskErrors.From(DiskOperation.Delete, path, errno);
    }

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        using var handle = OpenHandle(path, Posix.O_RDONLY, DiskOperation.Open, 0);
        if (Posix.Sync(handle) != 0)
            throw DiskErrors.From(DiskOperation.SyncDirectory, path, Marshal.GetLastPInvokeError());
    }

    /// <summary>
    /// What a new file in a directory may have: who cannot read the directory cannot read it. The umask takes its part.
    /// </summary>
    public static int RightsIn(string directory)
        => 0x180 | ((FileNode.At(directory, follow: true)?.Rights ?? 0) & 0x24);

    static SafeFileHandle OpenHandle(string path, int flags, DiskOperation operation, int rights)
    {
        while (true)
        {
            var descriptor = Posix.Open(path, flags | Posix.O_CLOEXEC, rights);
            if (descriptor >= 0)
                return new SafeFileHandle(descriptor, ownsHandle: true);
            var errno = Marshal.GetLastPInvokeError();
            if (errno != DiskErrors.EINTR)
                throw DiskErrors.From(operation, path, errno);
        }
    }
}

/// <summary>An open file of the real disk: one system call an operation, no allocation.</summary>
internal sealed class LocalFile(SafeFileHandle handle, string path) : ILogFile
{
    public string Path { get; set; } = path;

    public long SizeBytes
    {
        get
        {
            var size = Posix.Seek(handle, 0, whence: 2);
            return size >= 0 ? size : throw DiskErrors.From(DiskOperation.Read, Path, Marshal.GetLastPInvokeError());
        }
    }

    public int Read(long offset, Span<byte> destination)
    {
        var done = 0;
        while (done < destination.Length)
        {
            var n = Posix.Read(handle, ref destination[done], (nuint)(destination.Length - done), offset + done);
            if (n == 0)
                break;
            if (n > 0)
                done += (int)n;
            else if (Marshal.GetLastPInvokeError() is var errno and not DiskErrors.EINTR)
                throw DiskErrors.From(DiskOperation.Read, Path, errno);
        }
        return done;
    }

    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            var n = Posix.Write(handle, in source[0], (nuint)source.Length, offset);
            if (n > 0)
            {
                source = source[(int)n..];
                offset += n;
            }
            else if (n == 0)
                throw DiskErrors.From(DiskOperation.Write, Path, DiskErrors.EIO);
            else if (Marshal.GetLastPInvokeError() is var errno and not DiskErrors.EINTR)
                throw DiskErrors.From(DiskOperation.Write, Path, errno, source.Length);
        }
    }

    public void SyncData()
    {
        if (Posix.SyncData(handle) != 0)
            throw DiskErrors.From(DiskOperation.Sync, Path, Marshal.GetLastPInvokeError());
    }

    public void Truncate(long sizeBytes)
    {
        if (Posix.Truncate(handle, sizeBytes) != 0)
            throw DiskErrors.From(DiskOperation.Truncate, Path, Marshal.GetLastPInvokeError());
    }

    public void Allocate(long from, long to)
    {
        while (Posix.Allocate(handle, 0, from, to - from) != 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case DiskErrors.EINTR:
                    break;
                case DiskErrors.EOPNOTSUPP or DiskErrors.ENOSYS:
                    this.WriteZeros(from, to);
                    return;
                case var errno:
                    throw DiskErrors.From(DiskOperation.Write, Path, errno, to - from);
            }
        }
    }

    public void Dispose() => handle.Dispose();
}
