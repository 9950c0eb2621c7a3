using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.FollowedDirectories;

/// <summary>The files of a followed directory, against what its hints say.</summary>
internal static class FollowedFiles
{
    /// <summary>
    /// After a crash the directory may be ahead of its hints: brings it back to them, and takes away what they do not
    /// name. Throws Corrupt when it lacks something.
    /// </summary>
    public static void Rewind(ILogDisk disk, string directory, Hints hints)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var file in hints.Files.Where(DirectoryPlacement.IsThere))
            foreach (var name in file.Names)
            {
                TrackedName.Check(file.Class, name, "The hints of a follower");
                names.Add(name);
                Rewind(disk, Path.Combine(directory, name), file);
            }
        RocksDbFiles.Remove(disk, directory, name => !names.Contains(name));
        disk.SyncDirectory(directory);
    }

    static void Rewind(ILogDisk disk, string path, LiveFile file)
    {
        if (file.Class == FileClass.RocksSmall)
        {
            if (disk.Exists(path) && BytesOf(disk, path).AsSpan().SequenceEqual(file.Bytes.Span)) return;
            using var written = disk.Open(path, LogFileMode.Create);
            written.Write(0, file.Bytes.Span);
            written.SyncData();
            return;
        }
        if (!disk.Exists(path)) throw Differs(path);
        if (file.Class != FileClass.RocksLog)
        {
            using var table = disk.Open(path, LogFileMode.Read);
            if (table.SizeBytes != file.SizeBytes) throw Differs(path);
            return;
        }
        using var log = disk.Open(path, LogFileMode.Write);
        if (log.SizeBytes < file.SizeBytes) throw Differs(path);
        if (log.SizeBytes > file.SizeBytes) log.Truncate(file.SizeBytes);
        if (ChecksumOf(log) != file.Crc32C) throw Differs(path);
    }

    static RecoveryException Differs(string path) => new(RecoveryError.Corrupt,
        $"{path} is not what the follower has written.", "The follower starts over from the remote by itself.")
    { Path = path };

    static byte[] BytesOf(ILogDisk disk, string path)
    {
        using var file = disk.Open(path, LogFileMode.Read);
        var bytes = new byte[file.SizeBytes];
        return bytes[..file.Read(0, bytes)];
    }

    static uint ChecksumOf(ILogFile file)
    {
        var buffer = new byte[1 << 20];
        var crc = 0u;
        for (var at = 0L; file.Read(at, buffer) is var got and > 0; at += got)
            crc = Crc32C.Compute(buffer.AsSpan(0, got), crc);
        return crc;
    }
}
