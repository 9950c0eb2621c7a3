using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>Memory calls of the system that .NET does not offer.</summary>
internal static unsafe partial class Memory
{
    const int DontNeed = 4;

    /// <summary>
    /// Gives the memory of an aligned private range back to the system; its addresses stay valid and read as zeros.
    /// Invariant: the range is page-aligned and wholly inside one allocation of ours.
    /// </summary>
    public static void Discard(void* start, nuint bytes) => _ = madvise(start, bytes, DontNeed);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}
