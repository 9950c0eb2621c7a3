using System.Runtime.InteropServices;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Operations;

/// <summary>
/// A store of its own that begins as another one is, on the same disk: sealed files, which never change, are shared by
/// hard links, and the rest, which is small, is copied. Each goes its own way from there.
/// </summary>
internal static partial class LocalBranch
{
    /// <summary>
    /// What is not the branch's: who the store is as a writer, where it ships, where it lies, and what it was taken
    /// back to.
    /// </summary>
    static readonly string[] notIts =
        ["LOCK", "author", "remote", "remote-wanted", "restarting", "place", "stubs", "rollbacks", "sql", "config"];

    static readonly string[] sealedKinds = [".sst", ".blob"];

    /// <summary>
    /// Makes it in <c>INTO/.recovery</c>, whole or not at all. Throws Busy while anybody has the store open.
    /// </summary>
    public static Branch Make(StoreDirectory from, string into)
    {
        into = Path.GetFullPath(into);
        var store = StoreDirectory.Within(into);
        Restoring.CheckPlace(store);
        if (from.IsOfRocksDb)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{from.Databases} is a RocksDB's directory: branches are of SQLite databases.",
                "Make a copy with RocksDB's own checkpoint, or restore its remote into another directory.")
            { Path = from.Path };
        if (from.IsReplica)
            throw new RecoveryException(RecoveryError.Invalid, $"The store {from.Path} follows another one.",
                "Branch the remote that it follows.")
            { Path = from.Path };
        if (StoreRegistry.IsOpen(from.Path))
            throw new RecoveryException(RecoveryError.Busy, $"The store {from.Path} is open in this process.",
                "Close it first, or branch its remote.")
            { Path = from.Path };
        using var staging = new Staging(into, "recovery");
        // Nobody writes meanwhile.
        using var writing = StoreLock.Take(from.Path);
        var reading = new LogReading();
        var (hints, end) = from.ReadLog(reading.Start, reading.Take);
        Copy(from.Path, staging.Path("store"), isTop: true);
        if (Directory.Exists(store)) Directory.Delete(store); // Empty, or it would have been refused.
        staging.MoveOut("store", store);
        foreach (var name in reading.Databases.Select(d => d.Name).Where(n => !DeletedName.Is(n)))
            if (Stub.Read(Path.Combine(into, name)).Content is PathContent.Missing or PathContent.Empty)
                Stub.Write(Path.Combine(into, name), store, name);
        LocalDisk.Instance.SyncDirectory(into);
        return new Branch(store, from.Path, end?.LastLsn ?? hints?.Lsn ?? 0,
            reading.LastTime ?? TimeText.FromMs(hints?.UnixTimeMs ?? 0), null);
    }

    static void Copy(string from, string to, bool isTop)
    {
        LocalDisk.Instance.CreateDirectory(to);
        foreach (var entry in new DirectoryInfo(from).EnumerateFileSystemInfos())
        {
            var target = Path.Combine(to, entry.Name);
            if (isTop && (notIts.Contains(entry.Name) || entry.Name.StartsWith('.'))) continue;
            // What is no file or directory (a socket, a link) is nothing that a store is made of.
            if (entry.LinkTarget is not null) continue;
            if (entry is DirectoryInfo directory) Copy(directory.FullName, target, isTop: false);
            else if (!sealedKinds.Contains(entry.Extension) || link(entry.FullName, target) != 0)
                File.Copy(entry.FullName, target);
        }
        LocalDisk.Instance.SyncDirectory(to);
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string from, string to);
}
