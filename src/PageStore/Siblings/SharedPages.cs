using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Siblings;

/// <summary>
/// RocksDB's files of one state, in another directory, taken while RocksDB may be at work: sealed ones, which never
/// change, by hard links, and what says which of them count by a copy.
/// </summary>
/// <remarks>
/// The MANIFEST is read first, up to a length; then what it names gets a second name. A file that it names is only
/// deleted after an edit that says so. So when the MANIFEST has the same length afterwards, or rather is the same file
/// of the same length, every file that was to be linked was there. Only files that it names are linked: RocksDB would
/// begin to write one of another number anew, and so cut its twin.
/// </remarks>
internal static class SharedPages
{
    const int TriesMax = 100;

    /// <summary>Takes them; false when there is no page store yet.</summary>
    public static bool TryTake(string from, string to)
    {
        for (var tries = 1; ; tries++)
        {
            var mark = ManifestMark.Of(from);
            if (mark == default) return false;
            if (Directory.Exists(to)) Directory.Delete(to, recursive: true);
            LocalDisk.Instance.CreateDirectory(to);
            try
            {
                if (TryLink(from, to, mark) && ManifestMark.Of(from) == mark)
                {
                    Write(Path.Combine(to, "CURRENT"), System.Text.Encoding.ASCII.GetBytes(mark.Current + "\n"));
                    LocalDisk.Instance.SyncDirectory(to);
                    return true;
                }
            }
            catch (FileNotFoundException) when (tries < TriesMax)
            {
                // The MANIFEST was replaced.
            }
            if (tries >= TriesMax)
                throw new RecoveryException(RecoveryError.Busy,
                    $"The files in {from} change faster than they can be linked.",
                    "Try again when less is written.")
                { Path = from };
        }
    }

    static bool TryLink(string from, string to, ManifestMark mark)
    {
        var manifest = new byte[mark.SizeBytes];
        using (var file = File.OpenHandle(Path.Combine(from, mark.Current), share: FileShare.ReadWrite
            | FileShare.Delete))
            if (RandomAccess.Read(file, manifest, 0) < manifest.Length) return false;
        Write(Path.Combine(to, mark.Current), manifest);
        foreach (var table in Manifest.LiveTables(manifest, mark.Current))
            if (!TryShare(Path.Combine(from, table.FileName), Path.Combine(to, table.FileName))) return false;
        // Those that are gone were garbage before.
        foreach (var name in Manifest.BlobFiles(manifest, mark.Current).Keys)
            TryShare(Path.Combine(from, name), Path.Combine(to, name));
        return true;
    }

    /// <summary>Gives a sealed file a second name; elsewhere than on its disk, a copy. False when it is gone.</summary>
    static bool TryShare(string file, string to)
    {
        if (Posix.Link(file, to) == 0) return true;
        try
        {
            File.Copy(file, to);
            using var copy = LocalDisk.Instance.Open(to, LogFileMode.Write);
            copy.SyncData();
            return true;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
    }

    static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        using var file = LocalDisk.Instance.Open(path, LogFileMode.Create);
        file.Write(0, bytes);
        file.SyncData();
    }
}
