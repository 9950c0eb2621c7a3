using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Interop;
using RecoveryVfs.Replicate.Sources;

namespace RecoveryVfs.Replicate;

/// <summary>
/// Before a replicator runs: looks whether its databases can be read, and opens, or brings back, the mirror's store.
/// </summary>
internal static class MirrorOpening
{
    /// <summary>NFS, and what tells its clients of neither locks nor changes.</summary>
    static readonly string[] Foreign = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"];

    const long LeanBytes = 16L << 20;

    /// <summary>The mirror's directory of a database.</summary>
    public static string Beside(string path)
        => Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}-recovery");

    /// <summary>
    /// The database's whole path, links followed: SQLite's other files are beside the file, not beside a link to it.
    /// </summary>
    public static string WholePath(string path)
    {
        var whole = Path.GetFullPath(path);
        try
        {
            return File.ResolveLinkTarget(whole, returnFinalTarget: true)?.FullName ?? whole;
        }
        catch (IOException)
        {
            return whole;
        }
    }

    /// <summary>
    /// Throws when something else is where SQLite's files beside a database are: it is not waited for, nor followed.
    /// </summary>
    public static void RequireFilesBeside(string path)
    {
        foreach (var suffix in (string[])["-journal", "-wal", "-shm"])
            if (PlainVfs.Refusal(path + suffix) is { } refusal)
                throw new RecoveryException(RecoveryError.Invalid, $"{refusal}.",
                    "See who put it there, and take it away.")
                { Path = path + suffix };
    }

    /// <summary>Throws when a database cannot be replicated as it is. One that is not there (yet) can.</summary>
    public static void RequireReadable(string path, ReplicatorOptions options)
    {
        if (FileNode.At(path, follow: true) is not { } node)
        {
            if (Directory.Exists(Path.GetDirectoryName(path))) return;
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no directory {Path.GetDirectoryName(path)}, so there will be no {Path.GetFileName(path)} "
                    + "in it.", "Check the path.")
            { Path = path };
        }
        RequireDatabase(path, node);
        RequireFilesBeside(path);
        using var connection = SqliteHandle.Open(path, options.LockPatience);
        try
        {
            connection.BeginRead();
            if (SourceView.Of(connection).Mode == SourceMode.Wal && connection.IsReadOnly)
                throw new RecoveryException(RecoveryError.CannotOpen,
                    $"This user may not write {path}: in WAL mode SQLite needs that of readers, too. Run as the "
                        + "application's user.")
                { Path = path };
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Busy)
        {
            // Somebody holds it for now. It is looked at again.
        }
    }

    /// <summary>Throws when what is there cannot be a plain database of this machine's.</summary>
    static void RequireDatabase(string path, FileNode node)
    {
        if (node.IsDirectory)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is a directory. Name the database's file; for the databases in a directory, use a config "
                    + "file (dbs: dir).")
            { Path = path };
        if (!node.IsRegular)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is {node.Kind}, not a database. Name the database's file.")
            { Path = path };
        if (Stub.Read(path).Content == PathContent.Stub)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is a RecoveryVfs database already: its store ships it, and it needs no replicator. Set the "
                    + "store's remote: recovery remote set.")
            { Path = path };
        if (ForeignKindOf(path, Mounts()) is { } kind)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} lies on {kind}: SQLite's locks and WALs do not work across machines, and changes made by "
                    + "others are not told. Run the replicator where the file's disk is.")
            { Path = path };
    }

    /// <summary>
    /// The kind of file system that a path lies on, when it is one that is shared with other machines; null else.
    /// </summary>
    public static string? ForeignKindOf(string path, IEnumerable<(string At, string Kind)> mounts) => mounts
        .Where(m => path.StartsWith(m.At.TrimEnd('/') + "/", StringComparison.Ordinal))
        .MaxBy(m => m.At.TrimEnd('/').Length).Kind is { } kind && Foreign.Contains(kind) ? kind : null;

    static List<(string At, string Kind)> Mounts()
    {
        List<(string, string)> found = [];
        try
        {
            foreach (var drive in DriveInfo.GetDrives()) found.Add((drive.Name, drive.DriveFormat));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // One that does not answer, or is not ours to see: what is known until then is what there is.
        }
        return found;
    }

    /// <summary>
    /// A mirror is written and hardly read, beside an application that wants the memory: where nothing else is asked
    /// for, it takes less than a store that is worked with.
    /// </summary>
    public static RecoveryOptions Lean(RecoveryOptions asked)
    {
        var usual = new RecoveryOptions();
        return asked with
        {
            PageCacheBytes = asked.PageCacheBytes == usual.PageCacheBytes ? LeanBytes : asked.PageCacheBytes,
            PendingBytes = asked.PendingBytes == usual.PendingBytes ? LeanBytes : asked.PendingBytes,
        };
    }

    /// <summary>
    /// Opens the mirror's store. One that is gone comes back from its remote if that is meant; else a remote with
    /// somebody's log in it is left alone.
    /// </summary>
    public static Store Open(StoreOptions store, IReadOnlyList<string> paths, ReplicatorOptions options)
    {
        var isThere = Directory.Exists(store.Directory) && Directory.EnumerateFileSystemEntries(store.Directory).Any();
        var existing = paths.FirstOrDefault(File.Exists);
        if (!isThere && store.Remote is not null)
        {
            if (options.TakeOver || (options.RestoreIfMissing && existing is null)) StoreRestore.RestoreIfGone(store);
            else if (StoreRestore.HasLog(store))
                throw new RecoveryException(RecoveryError.Busy,
                    $"{store.Remote.Url} has the log of another mirror, and {store.Directory}, the mirror here, does "
                        + "not exist: two replicators must not ship to one remote. If the other one never runs "
                    + "again, give --take-over (its mirror is brought back here, and compared); else give this one a "
                        + "prefix of its own.")
                { Path = store.Remote.Url };
        }
        if (existing is not null) StorePrivacy.Ensure(store.Directory, existing);
        return Store.Open(store);
    }

    /// <summary>
    /// Writes databases that do not exist from the mirror, each whole or not at all. Returns those that it wrote.
    /// </summary>
    public static IReadOnlyList<string> RestoreMissing(Store store, IEnumerable<(string Path, string Name)> databases)
    {
        List<string> restored = [];
        foreach (var (path, name) in databases)
        {
            if (FileNode.At(path) is not null || store.Find(name) is not { Current.SizeBytes: > 0 } database) continue;
            foreach (var suffix in (string[])["-wal", "-journal", "-shm"])
                if (File.Exists(path + suffix))
                    throw new RecoveryException(RecoveryError.Invalid,
                        $"{path} is gone, but {path + suffix} is there, and would be applied to what is restored. "
                            + "Move it away first.")
                    { Path = path };
            PlainCopy.Write(database, path);
            restored.Add(path);
        }
        return restored;
    }
}
