using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// RocksDB's small files (CURRENT, MANIFEST, OPTIONS, IDENTITY) as a log takes them in: whole. What lies under such a
/// name and is no file, or is one that no log takes, is refused by name, and nobody waits for it.
/// </summary>
internal static class SmallFiles
{
    /// <summary>Reads one.</summary>
    public static byte[] Read(string path)
    {
        try
        {
            using var file = RegularFile.OpenRead(path);
            if (file.Length > LiveFiles.MaxSmallFileBytes)
                throw new RecoveryException(RecoveryError.Unsupported,
                    $"{path} has {file.Length} bytes, and the recovery log takes {LiveFiles.MaxSmallFileBytes}.",
                    "Have RocksDB write it anew (max_manifest_file_size).")
                { Path = path };
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.IoRead, e.Message, e) { Path = path };
        }
    }
}
