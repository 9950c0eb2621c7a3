using System.Runtime.InteropServices;
using System.Text;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>
/// A file with an advisory lock of the system's (flock) and a line of text in it that anybody may read meanwhile.
/// .NET's own files cannot do that: they take a lock for reading, too.
/// </summary>
internal sealed unsafe partial class LockFile : IDisposable
{
    const int Shared = 1, Exclusive = 2, AtOnce = 4, Unlock = 8;

    /// <summary>The error that says that somebody else has the lock (EWOULDBLOCK).</summary>
    public const int Held = 11;

    // Asked of the system: .NET remembers its answer, in a forked child as well.
    readonly int owner = getpid();
    int descriptor;

    LockFile(int descriptor) => this.descriptor = descriptor;

    /// <summary>Opens (or creates) and locks a file. On failure returns null and the system's error number.</summary>
    public static LockFile? TryTake(string path, string text, out int error)
    {
        error = 0;
        var descriptor =
            Posix.Open(path,
            Posix.O_RDWR | Posix.O_CREAT | Posix.O_CLOEXEC | Posix.O_NOFOLLOW | Posix.O_NONBLOCK,
            LocalDisk.RightsIn(Path.GetDirectoryName(path)!));
        if (descriptor < 0 || flock(descriptor, Exclusive | AtOnce) != 0)
        {
            error = Marshal.GetLastPInvokeError();
            if (descriptor >= 0) _ = close(descriptor);
            return null;
        }
        var bytes = Encoding.UTF8.GetBytes(text);
        fixed (byte* start = bytes)
        {
            // The text is for people; a disk too full for it does not matter.
            if (ftruncate(descriptor, 0) == 0) _ = pwrite(descriptor, start, bytes.Length, 0);
        }
        return new LockFile(descriptor);
    }

    static int OpenToRead(string path)
        => Posix.Open(path, Posix.O_RDONLY | Posix.O_CLOEXEC | Posix.O_NOFOLLOW | Posix.O_NONBLOCK, 0);

    /// <summary>Whether somebody has the lock. Changes nothing, and waits for nobody: a pipe is no lock.</summary>
    public static bool IsHeld(string path)
    {
        var descriptor = OpenToRead(path);
        if (descriptor < 0) return false;
        var isHeld = flock(descriptor, Shared | AtOnce) != 0 && Marshal.GetLastPInvokeError() == Held;
        if (!isHeld) _ = flock(descriptor, Unlock);
        _ = close(descriptor);
        return isHeld;
    }

    /// <summary>The text that the holder left.</summary>
    public static string ReadText(string path)
    {
        var descriptor = OpenToRead(path);
        if (descriptor < 0) return "";
        var buffer = stackalloc byte[512];
        var length = pread(descriptor, buffer, 512, 0);
        _ = close(descriptor);
        return length <= 0 ? "" : Encoding.UTF8.GetString(buffer, (int)length).Trim();
    }

    /// <summary>
    /// Gives the lock back. Closing alone would not: a process that this one is just starting has a copy of the
    /// descriptor until it becomes another program, and the lock would last as long. A forked child, though, must not
    /// give back what is its parent's.
    /// </summary>
    public void Dispose()
    {
        if (descriptor >= 0 && getpid() == owner) _ = flock(descriptor, Unlock);
        if (descriptor >= 0) _ = close(descriptor);
        descriptor = -1;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(int descriptor, int operation);

    [LibraryImport("libc")]
    private static partial int ftruncate(int descriptor, nint length);

    [LibraryImport("libc")]
    private static partial nint pwrite(int descriptor, byte* buffer, nint count, nint offset);

    [LibraryImport("libc")]
    private static partial nint pread(int descriptor, byte* buffer, nint count, nint offset);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);

    [LibraryImport("libc")]
    private static partial int getpid();
}
