using System.Runtime.InteropServices;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>The three things about directories that .NET does not offer: link without replacing, rename without replacing, sync.</summary>
static partial class DirectoryLinks
{
    const int NoEntryExists = 17 /* EEXIST */, NotPermitted = 1 /* EPERM */, NotSupported = 95 /* EOPNOTSUPP */, NoSystemCall = 38 /* ENOSYS */;
    const int NoSpace = 28 /* ENOSPC */, OverQuota = 122 /* EDQUOT */, TooManyLinks = 31 /* EMLINK */;
    const int CurrentDirectory = -100 /* AT_FDCWD */, NoReplace = 1 /* RENAME_NOREPLACE */;
    const int ReadOnly = 0, DirectoryFlag = 0x10000 /* O_DIRECTORY */, CloseOnExec = 0x80000 /* O_CLOEXEC */;

    /// <summary>
    /// Gives a complete file its name, unless that is taken (false). A hard link does it on most file systems; where there are
    /// none (FAT, some network shares), a rename that refuses to replace.
    /// </summary>
    public static bool TryPublish(string temporary, string path)
    {
        if (Link(temporary, path) == 0) return true;
        int error = Marshal.GetLastPInvokeError();
        if (error is NotPermitted or NotSupported or NoSystemCall or TooManyLinks)
        {
            if (RenameAt2(CurrentDirectory, temporary, CurrentDirectory, path, NoReplace) == 0) return true;
            error = Marshal.GetLastPInvokeError();
        }
        return error == NoEntryExists ? false : throw Failure("link", path, error);
    }

    /// <summary>Makes the names in a directory durable.</summary>
    public static void Sync(string directory)
    {
        int descriptor = Open(directory, ReadOnly | DirectoryFlag | CloseOnExec);
        if (descriptor < 0) throw Failure("open", directory, Marshal.GetLastPInvokeError());
        int result = Fsync(descriptor), error = Marshal.GetLastPInvokeError();
        Close(descriptor);
        if (result != 0) throw Failure("fsync", directory, error);
    }

    /// <summary>Whether an error says that the disk or a quota is full.</summary>
    public static bool IsNoSpace(IOException e) => (e.HResult & 0xFFFF) is NoSpace or OverQuota;

    static IOException Failure(string call, string path, int error) =>
        new($"{call} {path}: {Marshal.GetPInvokeErrorMessage(error)}", error);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string from, string to);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt2(int fromDirectory, string from, int toDirectory, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
