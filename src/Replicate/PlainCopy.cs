using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Replicate;

/// <summary>
/// A version of a mirror's database as a plain file. Its pages are verified by the checksum that its writer logged.
/// </summary>
internal static class PlainCopy
{
    const int ChunkPages = 64;

    /// <summary>Writes the newest version to a path where nothing is: whole, or not at all.</summary>
    public static void Write(Database database, string path)
    {
        LocalDisk.Instance.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + ".restoring";
        LocalDisk.Instance.Delete(temporary);
        try
        {
            using (var file = LocalDisk.Instance.Open(temporary, LogFileMode.Create))
            {
                Copy(database, file);
                file.SyncData();
            }
            File.Move(temporary, path, overwrite: false);
            LocalDisk.Instance.SyncDirectory(Path.GetDirectoryName(path)!);
        }
        finally
        {
            LocalDisk.Instance.Delete(temporary);
        }
    }

    static void Copy(Database database, ILogFile file)
    {
        var version = database.Pin();
        try
        {
            var (size, checksum) = (version.PageSize, 0UL);
            var buffer = new byte[ChunkPages * size];
            for (var at = 0L; at < version.SizeBytes; at += buffer.Length)
            {
                var bytes = buffer.AsSpan(0, database.Read(version, at, buffer));
                for (var within = 0; within < bytes.Length; within += size)
                    checksum ^= PageCommitFormat.HashOf((uint)((at + within) / size) + 1,
                        bytes.Slice(within, Math.Min(size, bytes.Length - within)));
                file.Write(at, bytes);
            }
            if (checksum != version.Checksum)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"The mirror's {database.Name} does not verify: nothing was written. Restore it from the remote "
                        + "(recovery restore URL -o FILE).")
                { Path = database.Name };
        }
        finally
        {
            database.Unpin(version);
        }
    }
}
