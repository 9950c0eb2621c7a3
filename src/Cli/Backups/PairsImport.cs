using RecoveryVfs.Changes.Pairs;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Cli.Backups;

/// <summary>
/// Brings exported pairs into a RocksDB. A file is read twice, for nothing of one that does not verify is taken. A new
/// RocksDB appears whole or not at all; one that is recorded goes on being so.
/// </summary>
internal sealed class PairsImport(string file, string directory, CancellationToken cancellation)
{
    const int BatchBytes = 1 << 20;

    /// <summary>Returns how many pairs were written.</summary>
    public async Task<long> RunAsync(bool mayExist)
    {
        var verified = PairsReader.Verify(file).End;
        if (!RocksPairs.IsIn(directory)) return IntoNew(verified);
        if (!mayExist)
            throw new RecoveryException(RecoveryError.Invalid,
                $"There is a RocksDB in {directory} already, and it is not changed.",
                "Give --into-existing merge to write the pairs over those with the same keys, or another directory.")
            { Path = directory };
        if (!Directory.Exists(StoreDirectory.Within(directory))
            || StoreDirectory.Find(directory) is not { IsOfRocksDb: true } store)
        {
            using var files = new RecordedFiles(null);
            return Into(directory, files, verified);
        }
        var options = store.RemoteUrl is { } url
            ? store.OptionsWith(url)
            : new StoreOptions { Directory = store.Path };
        await using var recorded = RecordedDirectory.Open(directory, options);
        return Into(directory, recorded.Files, verified);
    }

    /// <summary>Made beside its place, and moved there when all of it is there.</summary>
    long IntoNew(PairsEnd verified)
    {
        if (Directory.Exists(directory) && Directory.EnumerateFileSystemEntries(directory).Any())
            throw new RecoveryException(RecoveryError.Invalid, $"{directory} is not empty, and is no RocksDB.",
                "Name a new directory.")
            { Path = directory };
        var above = Path.GetDirectoryName(directory)!;
        Directory.CreateDirectory(above);
        using var staging = new Staging(above, Path.GetFileName(directory));
        var made = staging.Path("rocksdb");
        Directory.CreateDirectory(made);
        long pairs;
        using (var files = new RecordedFiles(null)) pairs = Into(made, files, verified);
        if (Directory.Exists(directory)) Directory.Delete(directory);
        staging.MoveOut("rocksdb", directory);
        LocalDisk.Instance.SyncDirectory(above);
        return pairs;
    }

    long Into(string into, RecordedFiles files, PairsEnd verified)
    {
        using var target = RocksPairs.OpenForWriting(into, files);
        using var reader = PairsReader.TryOpen(file)
            ?? throw new RecoveryException(RecoveryError.Corrupt, $"{file} is not what it was a moment ago.");
        foreach (var family in reader.Header.Families) target.FamilyOf(family);
        var (written, bytes) = (0L, 0L);
        while (reader.TryRead(out var pair))
        {
            target.Put(target.FamilyOf(pair.Family), pair.Key, pair.Value);
            written++;
            bytes += pair.Key.Length + pair.Value.Length;
            if (bytes < BatchBytes) continue;
            cancellation.ThrowIfCancellationRequested();
            target.Write(sync: false);
            bytes = 0;
        }
        target.Write(sync: true);
        if (reader.End!.Sha256 != verified.Sha256)
            throw new RecoveryException(RecoveryError.Corrupt, $"{file} changed while it was read.");
        return written;
    }
}
