using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

// Which directories are refused, for what, and what to do with them.
internal sealed partial class StoreHome
{
    /// <summary>
    /// Throws when the directory cannot be opened as a store of its own, and says what to do with it.
    /// </summary>
    internal void ThrowUnlessOwn()
    {
        if (IsOfRocksDb)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is the log of the RocksDB beside it, and no store of databases.",
                "Give the databases a directory of their own.")
            { Path = path };
        ThrowUnlessWhole();
    }

    /// <summary>The same, whatever the log is of.</summary>
    internal void ThrowUnlessWhole()
    {
        if (IsReplica && !IsStartingOver)
            throw new RecoveryException(RecoveryError.ReadOnly,
                $"The store {path} follows another one and takes no writes.",
                (IsOfRocksDb ? "Open the RocksDB beside it read-only" : "Read it with mode=ro")
                    + ", or make it a store of its own with `recovery-tail URL --into DIR --promote`.")
            { Path = path };
        if (IsStartingOver)
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"The store {path} was being filled from a remote, and that has not finished: nothing in it is "
                    + "needed.",
                "Delete the directory and restore again (`recovery restore URL DIR`), "
                + "or start the follower again, which begins anew by itself.")
            { Path = path };
    }

    /// <summary>A directory with hints, and neither a log nor the right to begin one.</summary>
    internal RecoveryException WithoutLog(Hints hints) => new(RecoveryError.Corrupt,
        $"There is no log in {At("log")}, but it is needed from LSN {hints.ReplayFrom} on: commits that were "
            + "acknowledged may be in it.",
        "If files were moved, move log/ back, too. "
        + (marks.Read(RestoredMark) is { } text && !text.Contains(Begun, StringComparison.Ordinal)
            ? $"If {path} was restored or promoted and never written since, nothing is lost: move it away and restore "
                + "again with `recovery restore URL DIR`."
            : $"Otherwise move {path} away and restore the store from its remote: `recovery restore URL DIR`."))
    { Path = At("log"), Lsn = hints.ReplayFrom };

    /// <summary>
    /// Throws when hints name files of a page store, and there is none: RocksDB would begin an empty one, whose
    /// databases would be without a row.
    /// </summary>
    internal void RequirePages()
    {
        if (File.Exists(System.IO.Path.Combine(Pages, "CURRENT"))
            || LocalHints.LoadNewest(disk, path) is not { } hints)
            return;
        var missing = hints.Files.Where(f => f.Class is FileClass.RocksSmall or FileClass.RocksTable
            or FileClass.RocksBlob).ToList();
        if (missing.Count == 0) return;
        throw new RecoveryException(RecoveryError.Corrupt,
            $"There is no page store in {Pages} (no file CURRENT), but {missing.Count} files of one were in it at LSN "
                + $"{hints.Lsn}. Nothing was changed.",
            $"If files were moved, move pages/ back. Otherwise move {path} away and restore the store from its "
                + "remote: `recovery restore URL DIR`.")
        { Path = Pages, Lsn = hints.Lsn };
    }

    /// <summary>Refuses a directory that a follower cannot use, for it holds something else.</summary>
    internal void ThrowUnlessFollower()
    {
        if (!Directory.Exists(path) || IsReplica || IsStartingOver) return;
        if (HasLog)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is a store with a log of its own, and was left as it is.",
                "Give the follower an empty "
                    + "directory; to make this one follow, move it away or delete it first.")
            { Path = path };
        if (Directory.EnumerateFileSystemEntries(path).Any(e => !IsKept(System.IO.Path.GetFileName(e))))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is not empty, and no follower's.",
                "Give the follower an empty directory.")
            { Path = path };
    }
}
