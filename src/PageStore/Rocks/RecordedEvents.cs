using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>What RocksDB did to its files, as records of a store's log. Under its recorder's lock.</summary>
internal sealed class RecordedEvents : IFileEvents
{
    readonly string directory;
    readonly FileEvents told;

    public RecordedEvents(string directory, LocalLog log, Func<ulong> newFnode, LiveFiles live)
    {
        (this.directory, told) = (directory, new FileEvents(log, newFnode));
        foreach (var file in live.Files)
            if (file.Class != FileClass.Plain) told.Know(file.Name, file.Fnode);
    }

    public void Tell(string name, Action<RecordedEvents> happened) => happened(this);

    /// <summary>Tells what the directory shows that was never told.</summary>
    public void Reconcile(LiveFiles live)
    {
        var present = Directory.EnumerateFiles(directory).Select(p => Path.GetFileName(p)).Where(IsRecorded)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var name in told.Names.Where(n => !present.Contains(n)).ToArray()) OnDeleted(name);
        foreach (var name in present)
        {
            var path = Path.Combine(directory, name);
            var known = told.TryFind(name, out var fnode) ? live.Find(fnode) : null;
            if (ClassOf(name) == FileClass.RocksSmall)
            {
                var bytes = SmallFiles.Read(path);
                if (known is not null && known.Bytes.Span.SequenceEqual(bytes)) continue;
                OnCreated(name);
                OnAppended(name, bytes, bytes.Length);
                continue;
            }
            var size = new FileInfo(path).Length;
            if (known is { IsSealed: true } && known.SizeBytes == size) continue;
            OnCreated(name);
            OnSealed(name, size, FileEvents.ChecksumOf(path));
        }
    }

    // A page store's RocksDB has its write-ahead log off: the files of it are empty.
    static bool IsRecorded(string name)
        => TrackedName.RocksClassOf(name) is not (null or FileClass.RocksLog);

    public static FileClass ClassOf(string name) => TrackedName.RocksClassOf(name)
        ?? throw new RecoveryException(RecoveryError.Invalid,
            $"RocksDB calls a file {name}: this version does not know what that is.",
            "Report this.");

    public void OnCreated(string name) => told.Created(name, ClassOf(name));

    public void OnAppended(string name, byte[] bytes, long sizeBytes)
        => told.Written(name, sizeBytes - bytes.Length, bytes);

    public void OnSealed(string name, long sizeBytes, uint crc32c) => told.Sealed(name, sizeBytes, crc32c);

    public void OnTruncated(string name, long sizeBytes) => told.Truncated(name, sizeBytes);

    public void OnRenamed(string name, string newName) => told.Renamed(name, newName);

    public void OnLinked(string name, string otherName) => told.Linked(name, otherName);

    public void OnDeleted(string name) => told.Deleted(name);
}
