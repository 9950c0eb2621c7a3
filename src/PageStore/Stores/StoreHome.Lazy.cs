using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Stores;

// What a directory says of files that come from a remote when they are read: `lazy` lists them, and each has a record
// in `fetched` for as long as it is not whole. The records are durable before the directory counts as begun.
internal sealed partial class StoreHome
{
    const string LazyMark = "lazy", WholeSince = "All of it is there since the start ";

    static readonly string thisStart = File.Exists("/proc/sys/kernel/random/boot_id")
        ? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()
        // Nothing is known of it: never the same one.
        : Guid.NewGuid().ToString();

    /// <summary>
    /// Whether the directory is what its other marks say, and a loss of power may take any of it; then it begins again.
    /// </summary>
    internal bool IsUnsynced => marks.Read(StartingOverMark)?.Contains(WholeSince + thisStart, StringComparison.Ordinal)
        == true;

    /// <summary>
    /// Says that the directory is what its other marks say, for as long as the machine runs: whoever opens it waits for
    /// no disk.
    /// </summary>
    internal void EndOverUnsynced() =>
        marks.WriteUnsynced(StartingOverMark, $"{WholeSince}{thisStart}. After another one, it begins anew.\n");

    /// <summary>Makes such a directory durable, and says so. Files may come and go meanwhile.</summary>
    internal void MakeDurable()
    {
        if (!IsUnsynced) return;
        SyncAll();
        EndOver();
    }

    /// <summary>Makes everything in the directory durable.</summary>
    internal void SyncAll()
    {
        foreach (var directory in Directory.EnumerateDirectories(path, "*", SearchOption.AllDirectories).Prepend(path))
        {
            foreach (var name in disk.List(directory)) Sync(System.IO.Path.Combine(directory, name));
            disk.SyncDirectory(directory);
        }
    }

    void Sync(string file)
    {
        try
        {
            using var opened = disk.Open(file, LogFileMode.Read);
            opened.SyncData();
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            // It went meanwhile.
        }
    }

    /// <summary>Where the records of files are that are not whole.</summary>
    internal string Fetched => At("fetched");

    /// <summary>Whether files of the page store may lack bytes, which come from a remote when they are read.</summary>
    internal bool IsLazy => marks.Has(LazyMark);

    /// <summary>Which files those are, and what their bytes must be; null when all are whole.</summary>
    internal string? LazyList
    {
        get => marks.Read(LazyMark);
        set
        {
            if (value is not null) marks.Write(LazyMark, value);
            else
            {
                marks.Remove(LazyMark);
                if (Directory.Exists(Fetched)) Directory.Delete(Fetched, recursive: true);
            }
        }
    }

    /// <summary>Refuses to do something with a directory whose files are not all here.</summary>
    internal void ThrowIfLazy()
    {
        if (!IsLazy) return;
        throw IsReplica
            ? new RecoveryException(RecoveryError.CannotOpen,
                $"Not all of {path} is here: it follows {Following ?? "a remote"} and fetches what is read.",
                "Read it through a connection with follow=URL&fetch=lazy, or have all of it fetched first: "
                    + "`recovery-tail URL --into DIR --once`.")
            { Path = path }
            : new RecoveryException(RecoveryError.CannotOpen,
                $"Not all of {path} is here yet: it was opened before that (auto-restore=lazy), and the rest comes "
                    + "while a process has it open for writing.",
                "Read it in that process, or wait until PRAGMA recovery_fetched says `all` there.")
            { Path = path };
    }
}
