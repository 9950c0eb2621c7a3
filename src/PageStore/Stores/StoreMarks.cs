using System.Text;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>
/// Small files of a directory whose being there, and whose text, says something. One is durable when the call that made
/// or removed it returns: it is written aside, synced and renamed, and then the directory is synced.
/// </summary>
internal sealed class StoreMarks(ILogDisk disk, string directory)
{
    /// <summary>What the name of a mark that is being written ends with.</summary>
    public const string NewSuffix = ".new";

    /// <summary>
    /// The most that a mark may have. The largest one lists the files of a lazy directory, in 200 bytes each.
    /// </summary>
    public const int MaxBytes = 256 << 20;

    public bool Has(string name) => disk.Exists(At(name));

    /// <summary>A mark's text; null when there is none.</summary>
    public string? Read(string name)
    {
        try
        {
            if (!Has(name)) return null;
            using var file = disk.Open(At(name), LogFileMode.Read);
            if (file.SizeBytes > MaxBytes)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"{At(name)} has {file.SizeBytes} bytes, and says nothing that needs so many: it was written by "
                        + "something else.",
                    "See who put it there.")
                { Path = At(name) };
            var bytes = new byte[file.SizeBytes];
            return Encoding.UTF8.GetString(bytes, 0, file.Read(0, bytes));
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            // Another process has just removed it.
            return null;
        }
    }

    /// <summary>The same, and a loss of power may bring back what was there before, or leave it empty.</summary>
    public void WriteUnsynced(string name, string text)
    {
        using (var file = disk.Open(At(name) + NewSuffix, LogFileMode.Create))
            file.Write(0, Encoding.UTF8.GetBytes(text));
        disk.Rename(At(name) + NewSuffix, At(name));
    }

    public void Write(string name, string text)
    {
        using (var file = disk.Open(At(name) + NewSuffix, LogFileMode.Create))
        {
            file.Write(0, Encoding.UTF8.GetBytes(text));
            file.SyncData();
        }
        disk.Rename(At(name) + NewSuffix, At(name));
        disk.SyncDirectory(directory);
    }

    public void Remove(string name)
    {
        if (!Has(name)) return;
        disk.Delete(At(name));
        disk.SyncDirectory(directory);
    }

    string At(string name) => Path.Combine(directory, name);
}
