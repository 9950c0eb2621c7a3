using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>
/// The few system calls of Linux that .NET does not offer with their error numbers. All of glibc and musl on 64 bits.
/// </summary>
internal static partial class Posix
{
    internal const int O_RDONLY = 0, O_RDWR = 2, O_CREAT = 0x40, O_TRUNC = 0x200, O_EXCL = 0x80, O_CLOEXEC = 0x80000;
    internal const int O_NONBLOCK = 0x800;

    static readonly bool isArm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    internal static readonly int O_DIRECTORY = isArm
        ? 0x4000 : 0x10000, O_NOFOLLOW = isArm ? 0x8000 : 0x20000, O_TMPFILE = 0x400000 | O_DIRECTORY;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Open(string path, int flags, int mode);

    /// <summary>What kind of file an open one is, and its permissions: st_mode.</summary>
    internal static int ModeOf(SafeFileHandle file)
    {
        const int modeAt = 28, emptyPath = 0x1000 /* AT_EMPTY_PATH */, typeAndMode = 3 /* STATX_TYPE | STATX_MODE */;
        Span<byte> status = stackalloc byte[256];
        return StatX(file, "", emptyPath, typeAndMode, ref status[0]) == 0
            ? BitConverter.ToUInt16(status[modeAt..])
            : -1;
    }

    internal static bool IsRegular(SafeFileHandle file) => (ModeOf(file) & 0xF000) == 0x8000;

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int StatX(SafeFileHandle directory, string path, int flags, uint mask, ref byte status);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    internal static partial nint Read(SafeFileHandle file, ref byte buffer, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    internal static partial nint Write(SafeFileHandle file, ref readonly byte buffer, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    internal static partial int SyncData(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    internal static partial int Sync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    internal static partial int Truncate(SafeFileHandle file, long size);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    internal static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    internal static partial long Seek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Rename(string from, string to);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Unlink(string path);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    internal static unsafe partial int Stat(int directory, byte* path, int flags, uint wanted, byte* answer);

    [LibraryImport("libc", EntryPoint = "faccessat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Access(int directory, string path, int mode, int flags);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    internal static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "getegid")]
    internal static partial uint EffectiveGroup();

    [LibraryImport("libc", EntryPoint = "chmod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int SetRights(string path, int rights);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    internal static partial int SetRights(SafeFileHandle file, int rights);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    internal static partial int SetOwner(SafeFileHandle file, uint owner, uint group);

    /// <summary>rename(2) with flags; the directories are relative to nothing, paths are whole.</summary>
    internal static int Rename(string from, string to, uint flags) => Rename(-100, from, -100, to, flags);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(int fromDirectory, string from, int toDirectory, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Link(string from, string to);

    /// <summary>struct flock on 64 bits; a lock of the open file, not of the process.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct FileLock
    {
        public short Type, Whence;
        public long Start, Length;
        public int Process;
    }

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    internal static partial int Control(SafeFileHandle file, int command, ref FileLock wanted);

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int MakeDirectory(string path, int mode);

    /// <summary>What a sem_t takes: 32 bytes with glibc and with musl on 64 bits.</summary>
    internal const int SemaphoreBytes = 32;

    [LibraryImport("libc", EntryPoint = "sem_init")]
    internal static partial int InitializeSemaphore(ref byte semaphore, int shared, uint value);

    [LibraryImport("libc", EntryPoint = "sem_wait")]
    internal static partial int WaitForSemaphore(ref byte semaphore);

    [LibraryImport("libc", EntryPoint = "sem_post")]
    internal static partial int PostSemaphore(ref byte semaphore);
}
