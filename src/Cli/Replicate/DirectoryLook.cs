using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>Finds the databases of directories.</summary>
internal static class DirectoryLook
{
    /// <summary>
    /// The SQLite databases there are now: files whose names fit and that begin as a database does. A file that is
    /// still empty may become one.
    /// </summary>
    public static IEnumerable<ReplicatedPath> Find(DatabaseDirectory directory)
    {
        var root = Path.GetFullPath(directory.Directory);
        if (!Directory.Exists(root))
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no directory {root} for the databases in it. Check the config (dbs: dir).");
        var options =
            new EnumerationOptions
            {
                RecurseSubdirectories = directory.Recursive,
                IgnoreInaccessible = true,
                AttributesToSkip = FileAttributes.ReparsePoint
            };
        foreach (var path in Directory.EnumerateFiles(root, directory.Pattern, options))
        {
            var relative = Path.GetRelativePath(root, path);
            // A mirror, or a store of our own, is no application's.
            if (relative.Split('/').SkipLast(1).Any(IsOurs) || path.EndsWith("-wal", StringComparison.Ordinal)
                || path.EndsWith("-shm", StringComparison.Ordinal)
                || path.EndsWith("-journal", StringComparison.Ordinal)) continue;
            yield return new(path, directory.Prefix + relative.Replace('/', '~'));
        }
    }

    static bool IsOurs(string directory) => directory == StoreHome.Name || directory == ".recovery-mirror"
        || (directory.StartsWith('.') && directory.EndsWith("-recovery", StringComparison.Ordinal));

    /// <summary>
    /// Whether a file begins as a SQLite database does. Only for files that this process does not have open: closing
    /// one ends its locks.
    /// </summary>
    public static bool IsDatabase(string path)
    {
        try
        {
            Span<byte> beginning = stackalloc byte[16];
            // Whoever may write to the directory may put a pipe there, which would be waited for.
            using var file = RegularFile.OpenRead(path);
            return RandomAccess.Read(file.SafeFileHandle, beginning, 0) == 16
                && beginning.SequenceEqual("SQLite format 3\0"u8);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
