using System.Text.Json;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>
/// The file <c>replicated</c> in a mirror's directory: written when a replicator stops cleanly, and taken away,
/// durably, before the next one commits anything. So it is there only while it is true; without it every database is
/// compared whole.
/// </summary>
internal static class MirrorMarks
{
    const string Name = "replicated";

    /// <summary>Whether a directory is the mirror of plain databases that was stopped cleanly.</summary>
    public static bool Has(string directory) => File.Exists(Path.Combine(directory, Name));

    public static MirrorMark[] Read(string directory)
    {
        var path = Path.Combine(directory, Name);
        if (FileNode.At(path) is not { IsRegular: true }) return [];
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), MirrorJson.Default.MirrorMarkArray) ?? [];
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            // It only saves a comparison.
            return [];
        }
    }

    public static MirrorMark[] Take(string directory)
    {
        var marks = Read(directory);
        LocalDisk.Instance.Delete(Path.Combine(directory, Name));
        LocalDisk.Instance.SyncDirectory(directory);
        return marks;
    }

    public static void Write(string directory, MirrorMark[] marks)
    {
        var path = Path.Combine(directory, Name);
        using (var file = LocalDisk.Instance.Open(path + ".new", LogFileMode.Create))
        {
            file.Write(0, JsonSerializer.SerializeToUtf8Bytes(marks, MirrorJson.Default.MirrorMarkArray));
            file.SyncData();
        }
        LocalDisk.Instance.Rename(path + ".new", path);
        LocalDisk.Instance.SyncDirectory(directory);
    }
}
