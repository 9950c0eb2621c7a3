using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Directories as a kill would leave them.</summary>
internal static class Killed
{
    /// <summary>Ends a store, and leaves what a kill would have left.</summary>
    public static void Kill(Store store)
    {
        Copy(store, CopyOf(store.Directory));
        store.Dispose();
        Replace(store.Directory);
    }

    /// <inheritdoc cref="Kill(Store)"/>
    public static void Kill(Replica replica)
    {
        Copy(replica, CopyOf(replica.Directory));
        replica.Dispose();
        Replace(replica.Directory);
    }

    /// <inheritdoc cref="Kill(Store)"/>
    public static async Task KillAsync(Follower follower)
    {
        Copy(follower.Replica!, CopyOf(follower.Directory));
        await follower.DisposeAsync();
        Replace(follower.Directory);
    }

    /// <summary>Puts the copy of a directory in its place.</summary>
    public static void Replace(string directory)
    {
        Directory.Delete(directory, recursive: true);
        Directory.Move(CopyOf(directory), directory);
    }

    static string CopyOf(string directory) => directory + "-copy";

    /// <summary>
    /// What a kill would leave. RocksDB works in the background, so the order matters: what the MANIFEST names is
    /// complete and kept, and the log is copied last, so that it has everything that the pages have. No kill leaves
    /// older hints or an older CURRENT with a newer rest, so a copy during which one of them was written is made again.
    /// </summary>
    public static void Copy(Store store, string to)
    {
        using var files = store.HoldFiles();
        using var log = store.Log.Hold("a copy", store.Log.FirstLsn);
        CopyWhole(store.Directory, to);
    }

    /// <inheritdoc cref="Copy(Store, string)"/>
    public static void Copy(Replica replica, string to)
    {
        using var files = replica.HoldFiles();
        CopyWhole(replica.Directory, to);
    }

    static void CopyWhole(string directory, string to)
    {
        var current = Path.Combine(directory, "pages", "CURRENT");
        string[] before;
        do
        {
            if (Directory.Exists(to)) Directory.Delete(to, recursive: true);
            before = Beginnings();
            CopyAll(directory, to);
        }
        while (!Beginnings().SequenceEqual(before));

        string[] Beginnings() =>
        [
            .. Directory.EnumerateFiles(directory, "hints-*").Order(StringComparer.Ordinal),
            File.Exists(current) ? File.ReadAllText(current) : "no CURRENT",
        ];
    }

    static void CopyAll(string from, string to)
    {
        static bool IsFirst(string path) =>
            Path.GetFileName(path) is var name
                && (name == "CURRENT" || name.StartsWith("hints-", StringComparison.Ordinal)
                || name.StartsWith("MANIFEST", StringComparison.Ordinal));
        static bool IsLog(string path) => path.Contains("/log/", StringComparison.Ordinal);
        // Each listing is made when its turn comes: what the MANIFEST names is on disk by the time the MANIFEST has
        // been copied.
        CopyFiles(from, to, IsFirst);
        CopyFiles(from, to, path => !IsFirst(path) && !IsLog(path));
        CopyFiles(from, to, IsLog);
    }

    static void CopyFiles(string from, string to, Func<string, bool> which)
    {
        foreach (var source in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories)
            .Where(f => Path.GetFileName(f) is not ("LOCK" or "place") && which(f)).Order(StringComparer.Ordinal)
            .ToArray())
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, source));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            try
            {
                using var input =
                    new FileStream(source, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                using var output = new FileStream(target, FileMode.Create);
                input.CopyTo(output);
            }
            catch (FileNotFoundException)
            {
                // Deleted while we looked.
            }
        }
    }
}
