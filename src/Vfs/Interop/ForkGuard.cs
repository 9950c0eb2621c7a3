using System.Runtime.InteropServices;

namespace RecoveryVfs.Interop;

/// <summary>
/// Knows whether this process is a child forked from the one that registered the VFS. Such a child has our memory but
/// none of our threads, and shares the store's files with its parent: every call in it is refused, so that neither
/// process comes to harm.
/// </summary>
/// <remarks>
/// One page of memory that the kernel wipes in a forked child (MADV_WIPEONFORK): asking costs one load. Where that does
/// not exist (old kernels, other systems), nothing is detected.
/// </remarks>
internal static unsafe partial class ForkGuard
{
    static int* inParent;

    /// <summary>Whether this is a forked child.</summary>
    public static bool IsChild => inParent != null && *inParent == 0;

    /// <summary>What a refused call says.</summary>
    public const string Message =
        "This process was forked from one that has RecoveryVfs databases open. A child cannot use them: open them "
            + "before forking in one process only, or start a new process.";

    /// <summary>Remembers this process as the parent.</summary>
    public static void Arm()
    {
        if (inParent != null || !OperatingSystem.IsLinux()) return;
        const int protReadWrite = 3, mapPrivateAnonymous = 0x22, wipeOnFork = 18;
        var size = (nuint)Environment.SystemPageSize;
        var page = mmap(null, size, protReadWrite, mapPrivateAnonymous, -1, 0);
        if ((nint)page == -1 || madvise(page, size, wipeOnFork) != 0) return;
        *(int*)page = 1;
        inParent = (int*)page;
    }

    [LibraryImport("libc")]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}
