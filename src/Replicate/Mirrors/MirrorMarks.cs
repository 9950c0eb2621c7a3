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
    /// <summary>Thousands of databases have a few hundred bytes each.</summary>
    const int MaxBytes = 16 << 20;

    const string Name = "replicated";

    /// <summary>Whether a directory is the mirror of plain databases that was stopped cleanly.</summary>
    public static bool Has(string directory) => File.Exists(Path.Combine(directory, Name));

    public static MirrorMark[] Read(string directory)
    {
        var path = Path.Combine(directory, Name);
        try
        {
            using var file = RegularFile.OpenRead(path);
            if (file.Length > MaxBytes) return [];
            var marks = JsonSerializer.Deserialize(file, MirrorJson.Default.MirrorMarkArray) ?? [];
            return [.. marks.Where(m => m?.Name is not null).DistinctBy(m => m.Name, StringComparer.Ordinal)];
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
