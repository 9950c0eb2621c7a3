using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// A recorded RocksDB's directory that nobody has open: what is left is shipped, and what nobody needs is collected,
/// without opening RocksDB.
/// </summary>
internal static class ClosedDirectory
{
    /// <summary>
    /// Brings the log to the directory, and ships it with every file that lives; returns its end. Throws Busy while a
    /// process has the RocksDB open, recorded or not.
    /// </summary>
    public static async Task<ulong> ShipAsync(string path, StoreOptions store, TimeSpan patience,
        CancellationToken cancellation)
    {
        using var held = HoldRocksDb(path);
        await using var directory = RecordedDirectory.Open(path, store);
        var lsn = directory.WriteOut();
        await directory.Remote!.WhenRestorableAsync(lsn, patience, cancellation);
        return lsn;
    }

    /// <summary>The same, and then collects what nothing needs by a retention of the caller's.</summary>
    public static async Task<CollectionPlan> CollectAsync(string path, StoreOptions store, Retention retention,
        TimeSpan patience, CancellationToken cancellation)
    {
        using var held = HoldRocksDb(path);
        await using var directory = RecordedDirectory.Open(path, store);
        var remote = directory.Remote!;
        await remote.WhenRestorableAsync(directory.WriteOut(), patience, cancellation);
        if (remote.State.BytesSinceHints > 0) await remote.Log.PublishHintsAsync(cancellation);
        return await remote.Log.CollectAsync(retention, cancellation);
    }

    /// <summary>RocksDB's own lock: a process that does not record takes it, too.</summary>
    static FileStream? HoldRocksDb(string path)
    {
        var file = Path.Combine(path, "LOCK");
        if (!File.Exists(file)) return null;
        var held = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        try
        {
            if (!OperatingSystem.IsMacOS()) held.Lock(0, 0);
            return held;
        }
        catch (IOException e)
        {
            held.Dispose();
            throw new RecoveryException(RecoveryError.Busy, $"A process has the RocksDB {path} open.",
                "Close it there first; one that is recorded ships by itself.", e)
            { Path = path };
        }
    }
}
