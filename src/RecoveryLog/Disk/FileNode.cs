using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>What the file system knows of a name or an open file: its kind, whose it is, who may do what.</summary>
/// <param name="Mode">The kind and the rights, as of stat(2).</param>
/// <param name="Owner">The user's number.</param>
/// <param name="Group">The group's number.</param>
/// <param name="SizeBytes">Its size.</param>
/// <param name="Device">The file system's number.</param>
/// <param name="Inode">The file's number on it.</param>
internal readonly record struct FileNode(int Mode, uint Owner, uint Group, long SizeBytes, ulong Device, ulong Inode)
{
    const int Kinds = 0xF000, Regular = 0x8000, Folder = 0x4000, Link = 0xA000, Fifo = 0x1000, Socket = 0xC000;
    const int CurrentDirectory = -100, NoFollow = 0x100, OfDescriptor = 0x1000, Wanted = 0x7FF, SizeOfStatx = 256;

    /// <summary>An ordinary file.</summary>
    public bool IsRegular => (Mode & Kinds) == Regular;

    /// <summary>A directory.</summary>
    public bool IsDirectory => (Mode & Kinds) == Folder;

    /// <summary>A symbolic link itself.</summary>
    public bool IsLink => (Mode & Kinds) == Link;

    /// <summary>The rights of owner, group and others.</summary>
    public int Rights => Mode & 0x1FF;

    /// <summary>What it is, in words.</summary>
    public string Kind => (Mode & Kinds) switch
    {
        Regular => "a file",
        Folder => "a directory",
        Link => "a symbolic link",
        Fifo => "a named pipe",
        Socket => "a socket",
        _ => "a device",
    };

    /// <summary>Whether it is the same file.</summary>
    public bool IsSame(FileNode other) => Device == other.Device && Inode == other.Inode;

    /// <summary>What has a name; null when nothing has it. A link is looked at itself, unless it is followed.</summary>
    public static FileNode? At(string path, bool follow = false)
    {
        var name = System.Text.Encoding.UTF8.GetBytes(path + '\0');
        if (Ask(CurrentDirectory, name, follow ? 0 : NoFollow) is { } found) return found;
        var errno = Marshal.GetLastPInvokeError();
        return errno is DiskErrors.ENOENT or DiskErrors.ENOTDIR
            ? null
            : throw DiskErrors.From(DiskOperation.Open, path, errno);
    }

    /// <summary>What is open.</summary>
    public static FileNode Of(SafeFileHandle file, string path) =>
        Ask((int)file.DangerousGetHandle(), [0], OfDescriptor)
            ?? throw DiskErrors.From(DiskOperation.Open, path, Marshal.GetLastPInvokeError());

    /// <summary>statx(2), whose layout is the same on every machine.</summary>
    static unsafe FileNode? Ask(int directory, ReadOnlySpan<byte> name, int flags)
    {
        var bytes = stackalloc byte[SizeOfStatx];
        fixed (byte* start = name)
            if (Posix.Stat(directory, start, flags, Wanted, bytes) != 0) return null;
        var answer = new ReadOnlySpan<byte>(bytes, SizeOfStatx);
        uint At(int offset, ReadOnlySpan<byte> from) => BinaryPrimitives.ReadUInt32LittleEndian(from[offset..]);
        return new FileNode(
            BinaryPrimitives.ReadUInt16LittleEndian(answer[28..]), At(20, answer), At(24, answer),
                BinaryPrimitives.ReadInt64LittleEndian(answer[40..]),
            (ulong)At(136, answer) << 32 | At(140, answer), BinaryPrimitives.ReadUInt64LittleEndian(answer[32..]));
    }
}
