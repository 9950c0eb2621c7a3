using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Files;

/// <summary>
/// Extents that were fetched and verified, kept in a directory of their own for the next state that has them too: as
/// second names of the files, so that one that nobody changes is fetched once, and lies on the disk once. Thread-safe.
/// </summary>
internal sealed class KeptExtents(string directory)
{
    readonly HashSet<Extent> kept = [];

    string PathOf(Extent extent)
        => Path.Combine(directory, $"{extent.Fnode:x16}-{extent.Epoch:x16}-{extent.Hash.Prefix:x16}");

    /// <summary>Keeps a file that was fetched. Where a file has but one name, nothing is kept.</summary>
    public void Keep(Extent extent, string path)
    {
        Directory.CreateDirectory(directory);
        lock (kept)
            if (!kept.Contains(extent) && Posix.Link(path, PathOf(extent)) == 0) kept.Add(extent);
    }

    /// <summary>Puts a kept one where it is wanted; false when it is not kept.</summary>
    public bool TryTake(Extent extent, string path)
    {
        lock (kept) return kept.Contains(extent) && Posix.Link(PathOf(extent), path) == 0;
    }

    /// <summary>Gives up all that are not among those.</summary>
    public void DropAllBut(IEnumerable<Extent> wanted)
    {
        lock (kept)
        {
            var dropped = kept.Except(wanted).ToList();
            foreach (var extent in dropped)
            {
                File.Delete(PathOf(extent));
                kept.Remove(extent);
            }
        }
    }
}
