using Microsoft.Win32.SafeHandles;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate;

/// <summary>
/// Makes a mirror the store of its database's path: from then on the application opens that path with
/// <c>vfs=recovery</c>, and the log goes on where the replicator left it. The plain file is kept beside it.
/// </summary>
internal static class MirrorAdoption
{
    const string AsideSuffix = ".plain";
    const int Tries = 3, SetLock = 37;
    const long PendingByte = 0x40000000;
    const short WriteLock = 1;

    /// <summary>The mirror of a database, when there is one beside it.</summary>
    public static string? MirrorOf(string path) => MirrorOpening.Beside(MirrorOpening.WholePath(path)) is var beside
        && Directory.Exists(Path.Combine(beside, "log")) ? beside : null;

    /// <summary>
    /// Brings the mirror in step for the last time, and puts it in the database's place. Nobody may have the database
    /// open. Returns where the plain file is, and the newest LSN.
    /// </summary>
    public static (string Aside, ulong Lsn) Run(string path, string directory)
    {
        path = MirrorOpening.WholePath(path);
        var options = new ReplicatorOptions();
        MirrorOpening.RequireReadable(path, options);
        if (!File.Exists(path))
            throw new RecoveryException(RecoveryError.NotFound, $"There is no database at {path}.", "Check the path.")
            { Path = path };
        var aside = path + AsideSuffix;
        if (FileNode.At(aside) is not null)
            throw new RecoveryException(RecoveryError.Invalid, $"{aside} exists already.",
                "Move it away first: the plain database is kept under that name.")
            { Path = aside };
        // Nothing is shipped now: the next opening does that.
        using var store = Store.Open(new StoreOptions { Directory = directory });
        var mirror = new Mirror(store, Path.GetFileName(path));
        var known = MirrorMarks.Take(directory).FirstOrDefault(m => m.Name == mirror.Name);
        for (var tries = 0; ; tries++)
        {
            var mark = LookOnce(path, mirror, options, known);
            using var file = LockAlone(path);
            if (!IsAt(path, mark))
            {
                if (tries == Tries) throw InUse(path);
                continue;
            }
            store.Sync();
            Replace(path, aside, store, mirror);
            return (aside, store.Lsn.Last);
        }
    }

    static MirrorMark LookOnce(string path, Mirror mirror, ReplicatorOptions options, MirrorMark? known)
    {
        using var database = new ReplicatedDatabase(path, mirror, options, static _ => { });
        if (known is not null) database.GoOnFrom(known);
        database.Look();
        return database.Mark
            ?? throw new RecoveryException(RecoveryError.Busy, $"{path} could not be brought in step: {database.Gap}.",
            "Try again.")
            { Path = path };
    }

    /// <summary>
    /// The locks that every reader and writer of SQLite needs, so that there is none. They end with the handle.
    /// </summary>
    static SafeFileHandle LockAlone(string path)
    {
        var descriptor = Posix.Open(path, Posix.O_RDWR | Posix.O_CLOEXEC, 0);
        if (descriptor < 0)
            throw new RecoveryException(RecoveryError.CannotOpen, $"This user may not write {path}.",
                "Run as the application's user.")
            { Path = path };
        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        var wanted = new Posix.FileLock { Type = WriteLock, Start = PendingByte, Length = 512 };
        if (Posix.Control(file, SetLock, ref wanted) == 0) return file;
        file.Dispose();
        throw InUse(path);
    }

    static RecoveryException InUse(string path)
        => new(RecoveryError.Busy, $"{path} is in use, and was left as it is.",
            "Stop the application (and every other program that has it open), and adopt it then.");

    /// <summary>Whether the file, which nobody can write now, is what the mirror has.</summary>
    static bool IsAt(string path, MirrorMark mark)
    {
        if (mark.File is { } file)
            return new FileInfo(path) is var now && now.Length == file.SizeBytes
                && now.LastWriteTimeUtc == file.WrittenAt;
        if (!File.Exists(path + "-wal")) return mark.Standing?.Position is null;
        using var wal = LocalDisk.Instance.Open(path + "-wal", LogFileMode.Read);
        return WalPages.Read(new WalReader(wal)) is var pages
            && (pages.Commits == 0 ? mark.Standing?.Position is null : pages.End == mark.Standing?.Position);
    }

    static void Replace(string path, string aside, Store store, Mirror mirror)
    {
        foreach (var suffix in (string[])["-wal", "-journal"])
            if (File.Exists(path + suffix)) File.Move(path + suffix, aside + suffix);
        File.Delete(path + "-shm");
        File.Move(path, aside);
        LocalDisk.Instance.SyncDirectory(Path.GetDirectoryName(path)!);
        if (Stub.Write(path, store.Directory, mirror.Name)) PlacedStubs.Add(store.Directory, mirror.Database.Id, path);
        else throw new RecoveryException(RecoveryError.IoWrite,
            $"The stub at {path} could not be written; the plain database is {aside}.",
            $"Move that back to {path}, look at the directory's rights, and try again.")
        { Path = path };
    }
}
