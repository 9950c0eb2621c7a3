using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Interop;

/// <summary>
/// SQLite's own VFS for plain databases that somebody else may write to, and for the files beside them: nothing is
/// waited for, and nothing is deleted elsewhere.
/// </summary>
/// <remarks>
/// A journal that was left behind may name a super-journal, at any path. SQLite opens what is there, and deletes it
/// when no journal that it names is there any more. Whoever may write beside a database could so have any file deleted
/// by whoever opens that database. Here only what is called as SQLite calls super-journals is opened, and none is
/// deleted: one that stays says to other databases of its transaction what it said before.
/// </remarks>
internal static unsafe class PlainVfs
{
    public const string Name = "recovery-plain";

    // SQLite's names of them end with -mj, and nine digits.
    const int SuperJournalEnd = 12;

    static readonly Lock making = new();
    static NativeVfs* system, own;

    /// <summary>The VFS over the system's, for one SQLite; made once, and never freed: SQLite keeps it.</summary>
    public static NativeVfs* Over(NativeVfs* vfs)
    {
        lock (making) return own != null && system == vfs ? own : Make(vfs);
    }

    static NativeVfs* Make(NativeVfs* vfs)
    {
        var made = (NativeVfs*)NativeMemory.AllocZeroed((nuint)sizeof(NativeVfs));
        var name = (byte*)NativeMemory.AllocZeroed(16);
        "recovery-plain"u8.CopyTo(new Span<byte>(name, 16));
        *made = *vfs;
        made->Version = 2;
        made->Next = null;
        made->Name = name;
        made->Open = &Open;
        made->Delete = &Delete;
        system = vfs;
        return own = made;
    }

    /// <summary>Why a file of a plain database is none that is waited for or followed; null when it may be opened.
    /// </summary>
    public static string? Refusal(string path)
        => FileNode.At(path) is { IsRegular: false } node ? $"{path} is {node.Kind}, not a file of SQLite's" : null;

    static bool IsSuperJournal(string path) => path.Length > SuperJournalEnd
        && path.AsSpan(path.Length - SuperJournalEnd) is ['-', 'm', 'j', .. var digits]
        && digits.IndexOfAnyExcept("0123456789ABCDEF") < 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Open(NativeVfs* vfs, byte* name, NativeFile* file, int flags, int* outFlags)
    {
        file->Methods = null;
        const int beside = Sqlite.OpenMainJournal | Sqlite.OpenSuperJournal | Sqlite.OpenWal;
        if (name != null && (flags & beside) != 0)
            try
            {
                var path = Marshal.PtrToStringUTF8((nint)name)!;
                if (Refusal(path) is not null) return Sqlite.CantOpen;
                if ((flags & Sqlite.OpenSuperJournal) != 0 && !IsSuperJournal(path)) return Sqlite.CantOpen;
            }
            catch (Exception)
            {
                return Sqlite.CantOpen;
            }
        return system->Open(system, name, file, flags, outFlags);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Delete(NativeVfs* vfs, byte* name, int syncDirectory)
    {
        try
        {
            if (IsSuperJournal(Marshal.PtrToStringUTF8((nint)name)!)) return Sqlite.Ok;
        }
        catch (Exception)
        {
            return Sqlite.IoErr;
        }
        return system->Delete(system, name, syncDirectory);
    }
}
