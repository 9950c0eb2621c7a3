using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>A RocksDB's directory as shipping sees it.</summary>
internal sealed class ShippedDirectory(
    string path, RecordedDirectory directory, LocalLog log, LiveFiles live, StoreOptions options) : IShippedStore
{
    const int SnapshotTriesMax = 1000;

    public LocalLog Log => log;

    public string Holds => StoreObject.RocksDb;

    public ulong LastChangeLsn => log.LastLsn;

    public void WriteOut() => directory.WriteOut();

    public void CheckpointSoon() => directory.PublishHints();

    public IDisposable HoldFiles() => directory.Files.Hold();

    /// <summary>
    /// What lives now. A restore replays from where the oldest write-ahead log was created, since their bytes are in
    /// the log alone.
    /// </summary>
    public (Hints Hints, long UnixTimeMs) SnapshotForRemote()
    {
        Hints hints;
        var tries = 0;
        do
        {
            directory.WriteOut();
            hints = live.Snapshot(log.LogId, log.Epoch, lsn => lsn + 1);
            // Another thread was between the two records that tell of a table.
        } while (++tries < SnapshotTriesMax
            && hints.Files.Any(f => f.Class is FileClass.RocksTable or FileClass.RocksBlob && !f.IsSealed));
        log.Sync(hints.Lsn);
        var logs = hints.Files.Where(f => f.Class == FileClass.RocksLog && f.SizeBytes > 0).Select(f => f.BornLsn);
        var now = Math.Max(options.Time.GetUtcNow().ToUnixTimeMilliseconds(), log.LastTimeMs);
        return (hints with { UnixTimeMs = now, ReplayFrom = logs.Append(hints.ReplayFrom).Min() }, now);
    }

    /// <summary>
    /// Only what RocksDB made is shipped: a name that leads elsewhere, or a link, would publish somebody's file.
    /// </summary>
    public FileStream OpenSealed(LiveFile file)
    {
        TrackedName.Check(file.Class, file.Name, $"The RocksDB {path}");
        return RegularFile.OpenRead(Path.Combine(path, file.Name));
    }

    public IReadOnlyList<KnownExtent> CameFrom(string url) => [];

    /// <summary>What is restored must be the files that live here, as they are.</summary>
    public async Task<ulong> ProveAsync(RemoteContext context, Shipper shipper, CancellationToken cancellation)
    {
        var (hints, lsn) = await directory.Remote!.MakePointAsync(cancellation);
        var aside = Path.Combine(options.Directory, "verifying");
        Clear(aside);
        try
        {
            var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.At(lsn), null, cancellation);
            var restored = await DirectoryRestore.FilesAsync(plan, aside, 2, null, cancellation);
            Compare(hints, restored, context.Store.Location);
        }
        finally
        {
            Clear(aside);
        }
        return lsn;
    }

    void Compare(IReadOnlyList<LiveFile> here, DirectoryState there, string location)
    {
        static IEnumerable<string> Lines(IEnumerable<LiveFile> files) =>
            files.Where(DirectoryRestore.IsRestored).SelectMany(f => f.Names, (f, name) =>
                $"{name}, {f.SizeBytes} bytes, fnode {f.Fnode:x16}");
        var differing = Lines(here).Except(Lines(there.Files)).Concat(Lines(there.Files).Except(Lines(here))).ToList();
        if (differing.Count > 0)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"What {location} restores to is not what {path} holds: {string.Join("; ", differing.Take(5))}.",
                "Keep both, ship to a new prefix, and report this.")
            { Path = location };
    }

    static void Clear(string aside)
    {
        if (Directory.Exists(aside)) Directory.Delete(aside, recursive: true);
    }
}
