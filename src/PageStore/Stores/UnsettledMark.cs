using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>
/// The file <c>unsettled</c> of a replica: it is there while records were applied that its hints do not cover, and says up to which LSN. A process that
/// finds it knows from where on the files are one state again.
/// </summary>
/// <remarks>
/// <code>
///  0             16        24
///  +-------------+---------+
///  | boot id     | LSN     |      little-endian
///  +-------------+---------+
/// </code>
/// The LSN is written, not synced: it outlives the process. After a loss of power, which the boot's id tells, it is not believed, and only
/// the end of the remote's log is far enough.
/// </remarks>
internal sealed class UnsettledMark : IDisposable
{
    const int LsnAt = 16, SizeBytes = 24;
    const string Name = "unsettled";

    static readonly byte[] bootId = File.Exists("/proc/sys/kernel/random/boot_id")
        ? Guid.Parse(File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()).ToByteArray() : new byte[LsnAt];

    readonly ILogDisk disk;
    readonly string directory, path;
    ILogFile? file;

    public UnsettledMark(ILogDisk disk, string directory)
    {
        (this.disk, this.directory, path) = (disk, directory, Path.Combine(directory, Name));
        if (!disk.Exists(path)) return;
        using var found = disk.Open(path, LogFileMode.Read);
        Span<byte> bytes = stackalloc byte[SizeBytes];
        Lsn = found.Read(0, bytes) == SizeBytes && bytes[..LsnAt].SequenceEqual(bootId) ? BinaryPrimitives.ReadUInt64LittleEndian(bytes[LsnAt..]) : ulong.MaxValue;
    }

    /// <summary>Up to where records may have left something; 0 when all of it is in the hints, the highest number when it is not known.</summary>
    public ulong Lsn { get; private set; }

    /// <summary>Notes that records up to an LSN are about to be applied.</summary>
    public void Raise(ulong lsn)
    {
        if (lsn <= Lsn) return;
        Span<byte> bytes = stackalloc byte[SizeBytes];
        bootId.CopyTo(bytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[LsnAt..], lsn);
        var isNew = file is null;
        file ??= disk.Open(path, LogFileMode.Create);
        file.Write(0, bytes);
        Lsn = lsn;
        if (!isNew) return;
        // That it exists must outlive a loss of power, or what is in the files then would be taken for whole.
        file.SyncData();
        disk.SyncDirectory(directory);
    }

    /// <summary>Everything is in the hints.</summary>
    public void Remove()
    {
        Dispose();
        if (disk.Exists(path)) disk.Delete(path);
        Lsn = 0;
    }

    public void Dispose()
    {
        file?.Dispose();
        file = null;
    }
}
