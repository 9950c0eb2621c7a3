using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>
/// A file of ours with holes. Its owner's alone; a symbolic link is not followed. Errors are RecoveryExceptions.
/// </summary>
sealed class SparseFile : IDisposable
{
    readonly string path;
    readonly Action<string>? beforeChange;

    SparseFile(string path, SafeFileHandle handle, Action<string>? beforeChange)
        => (this.path, Handle, this.beforeChange) = (path, handle, beforeChange);

    /// <summary>The open file.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Its size.</summary>
    public long SizeBytes => RandomAccess.GetLength(Handle);

    /// <summary>Opens a file for reading and writing; null when there is none.</summary>
    public static SparseFile? TryOpen(string path, Action<string>? beforeChange = null)
        => Open(path, 0, DiskErrors.ENOENT, beforeChange);

    /// <summary>Makes a file; null when there is one of that name.</summary>
    public static SparseFile? TryCreate(string path, Action<string>? beforeChange = null)
    {
        beforeChange?.Invoke("create");
        return Open(path, Posix.O_CREAT | Posix.O_EXCL, DiskErrors.EEXIST, beforeChange);
    }

    static SparseFile? Open(string path, int flags, int isNone, Action<string>? beforeChange)
    {
        const int ownerOnly = 0x180; // 0600
        while (true)
        {
            var descriptor = Posix.Open(path,
                Posix.O_RDWR | Posix.O_NOFOLLOW | Posix.O_NONBLOCK | Posix.O_CLOEXEC | flags, ownerOnly);
            if (descriptor >= 0)
            {
                var handle = new SafeFileHandle(descriptor, ownsHandle: true);
                if (Posix.IsRegular(handle)) return new SparseFile(path, handle, beforeChange);
                handle.Dispose();
                throw new RecoveryException(RecoveryError.CannotOpen, $"{path} is not a regular file.", "Take it away")
                { Path = path };
            }
            var error = Marshal.GetLastPInvokeError();
            if (error == isNone) return null;
            if (error != DiskErrors.EINTR) throw DiskErrors.From(DiskOperation.Open, path, error);
        }
    }

    /// <summary>Reads until the buffer is full or the file ends; returns the bytes read.</summary>
    public int Read(long offset, Span<byte> to)
    {
        var done = 0;
        while (done < to.Length)
        {
            var got = (int)Posix.Read(Handle, ref to[done], (nuint)(to.Length - done), offset + done);
            if (got == 0) break;
            if (got > 0) done += got;
            else ThrowUnlessInterrupted(DiskOperation.Read);
        }
        return done;
    }

    /// <summary>Writes all of it.</summary>
    public void Write(long offset, ReadOnlySpan<byte> from)
    {
        beforeChange?.Invoke("write");
        while (!from.IsEmpty)
        {
            var put = (int)Posix.Write(Handle, in from[0], (nuint)from.Length, offset);
            if (put < 0)
            {
                ThrowUnlessInterrupted(DiskOperation.Write, from.Length);
                continue;
            }
            offset += put;
            from = from[put..];
        }
    }

    /// <summary>Makes it so large; what is new is a hole.</summary>
    public void SetSize(long bytes)
    {
        beforeChange?.Invoke("truncate");
        while (Posix.Truncate(Handle, bytes) != 0) ThrowUnlessInterrupted(DiskOperation.Truncate);
    }

    /// <summary>Gives a range's room back; false where the file system cannot.</summary>
    public bool Punch(long offset, long length)
    {
        const int punchHole = 2, keepSize = 1;
        beforeChange?.Invoke("punch");
        while (Posix.Allocate(Handle, punchHole | keepSize, offset, length) != 0)
        {
            if (Marshal.GetLastPInvokeError() is DiskErrors.EOPNOTSUPP or DiskErrors.ENOSYS) return false;
            ThrowUnlessInterrupted(DiskOperation.Write);
        }
        return true;
    }

    /// <summary>Makes its bytes durable.</summary>
    public void Sync()
    {
        beforeChange?.Invoke("sync");
        if (Posix.Sync(Handle) != 0)
            throw DiskErrors.From(DiskOperation.Sync, path, Marshal.GetLastPInvokeError());
    }

    /// <summary>
    /// Waits for the lock that all processes take who change what the file says. It goes with the process.
    /// </summary>
    public void Lock() => Lock(1 /* F_WRLCK */);

    /// <summary>Gives it back.</summary>
    public void Unlock() => Lock(2 /* F_UNLCK */);

    void Lock(short type)
    {
        const int setOpenFileLockWait = 38;
        var wanted = new Posix.FileLock { Type = type };
        while (Posix.Control(Handle, setOpenFileLockWait, ref wanted) != 0)
            ThrowUnlessInterrupted(DiskOperation.Open);
    }

    void ThrowUnlessInterrupted(DiskOperation operation, long? neededBytes = null)
    {
        var error = Marshal.GetLastPInvokeError();
        if (error != DiskErrors.EINTR) throw DiskErrors.From(operation, path, error, neededBytes);
    }

    /// <inheritdoc/>
    public void Dispose() => Handle.Dispose();
}
