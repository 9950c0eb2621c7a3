using System.Globalization;

namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>How much room there is, for whoever was told that there is not enough.</summary>
internal static class DiskRoom
{
    /// <summary>
    /// A sentence for a message: what was needed, where that is known, and what is free for this user on the disk of a
    /// file or directory. Empty when nothing is known.
    /// </summary>
    public static string Tell(string path, long? neededBytes = null)
    {
        if (FreeAt(path) is not { } free)
            return neededBytes is { } wanted ? $" {Number(wanted)} bytes were needed." : "";
        return neededBytes is { } needed
            ? $" {Number(needed)} bytes were needed, and {Number(free)} are free there."
            : $" {Number(free)} bytes are free there.";
    }

    internal static long? FreeAt(string path)
    {
        try
        {
            var place = Path.GetFullPath(path);
            while (!Path.Exists(place)) place = Path.GetDirectoryName(place)!;
            return new DriveInfo(place).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    static string Number(long bytes) => bytes.ToString("N0", CultureInfo.InvariantCulture);
}
