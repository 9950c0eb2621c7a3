using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>
/// What makes a file this file, whatever it is called: its number on its file system, and when that number was given to
/// it.
/// </summary>
/// <param name="Inode">The number.</param>
/// <param name="BornNs">When the file was made, in nanoseconds since 1970; 0 where the file system does not
/// know.</param>
internal readonly record struct FileIdentity(ulong Inode, long BornNs);

/// <summary>Asks the system (Linux, statx) for it.</summary>
internal static unsafe partial class FileIdentities
{
    const int CurrentDirectory = -100;
    const uint InodeWanted = 0x100, BornWanted = 0x800;

    /// <summary>The first 256 bytes are the system's to fill, of which we need a few.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    struct Statx
    {
        [FieldOffset(0)] public uint Mask;
        [FieldOffset(32)] public ulong Inode;
        [FieldOffset(80)] public long BornSeconds;
        [FieldOffset(88)] public uint BornNanoseconds;
    }

    /// <summary>The identity of what a path names, or null when there is nothing, or the system cannot say.</summary>
    public static FileIdentity? Of(string path)
    {
        try
        {
            Statx found = default;
            if (statx(CurrentDirectory, path, 0, InodeWanted | BornWanted, &found) != 0
                || (found.Mask & InodeWanted) == 0)
                return null;
            return new FileIdentity(found.Inode,
                (found.Mask & BornWanted)
                == 0 ? 0 : checked((found.BornSeconds * 1_000_000_000) + found.BornNanoseconds));
        }
        catch (EntryPointNotFoundException)
        {
            // A C library from before 2018.
            return null;
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, Statx* result);
}
