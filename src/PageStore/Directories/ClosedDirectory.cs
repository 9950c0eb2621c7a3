using RecoveryVfs.PageStore.Stores;
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
        using var held = RocksDbLock.TakeIfThere(path);
        await using var directory = RecordedDirectory.Open(path, store);
        var lsn = directory.WriteOut();
        await directory.Remote!.WhenRestorableAsync(lsn, patience, cancellation);
        return lsn;
    }

    /// <summary>The same, and then collects what nothing needs by a retention of the caller's.</summary>
    public static async Task<CollectionPlan> CollectAsync(string path, StoreOptions store, Retention retention,
        TimeSpan patience, CancellationToken cancellation)
    {
        using var held = RocksDbLock.TakeIfThere(path);
        await using var directory = RecordedDirectory.Open(path, store);
        var remote = directory.Remote!;
        await remote.WhenRestorableAsync(directory.WriteOut(), patience, cancellation);
        if (remote.State.BytesSinceHints > 0) await remote.Log.PublishHintsAsync(cancellation);
        return await remote.Log.CollectAsync(retention, cancellation);
    }
}
