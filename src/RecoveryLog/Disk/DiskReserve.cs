using System.Globalization;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>
/// What stays free on a disk that is filled with what somebody else says. A few bytes of a remote can stand for very
/// many pages: whoever may write to a remote decides how much its restores write, and must not take the disk from
/// everything else on the machine. A twentieth of what was free at the beginning stays free, at most 4 GiB. Used by one
/// thread at a time.
/// </summary>
internal sealed class DiskReserve
{
    /// <summary>
    /// The disk is asked after so many bytes: seldom enough to cost nothing, and much less than what is kept.
    /// </summary>
    internal const long StepBytes = 32L << 20;

    const long KeptMost = 4L << 30;
    const int KeptShare = 20;

    readonly string directory;
    readonly ILogDisk disk;
    readonly long kept;
    long untold;

    /// <summary>For the disk that a directory is on, or will be, as it is now.</summary>
    public DiskReserve(ILogDisk disk, string directory)
    {
        (this.disk, this.directory) = (disk, directory);
        kept = Math.Min(disk.FreeBytes(directory) / KeptShare, KeptMost);
    }

    /// <summary>Before something is written whose size is known: throws Full when there is no room for it.</summary>
    public void CheckRoomFor(long bytes)
    {
        if (disk.FreeBytes(directory) is var free && free - bytes < kept)
            throw Full($"{Number(bytes)} bytes are to be fetched, and {Number(free)} are free");
    }

    /// <summary>
    /// So many bytes are about to be written, in the end or on the way: throws Full before they fill the disk.
    /// </summary>
    public void Take(long bytes)
    {
        untold += bytes;
        if (untold < StepBytes) return;
        untold = 0;
        if (disk.FreeBytes(directory) is var free && free < kept) throw Full($"{Number(free)} bytes are free");
    }

    RecoveryException Full(string what) => new(RecoveryError.Full,
        $"The disk of {directory} has no room for what the remote holds: {what}, of which {Number(kept)} are left to "
            + "others.",
        "Free some space (a follower then goes on by itself), or take a larger disk. Should the databases be smaller "
            + "than this, find out who wrote to the remote; an older state (--at, --lsn) may do.")
    { Path = directory };

    static string Number(long bytes) => bytes.ToString("N0", CultureInfo.InvariantCulture);
}
