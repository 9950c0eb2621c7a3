using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>What RocksDB did to its files, as records of a store's log. Under its recorder's lock.</summary>
internal sealed class RecordedEvents : IFileEvents
{
    readonly string directory;
    readonly LocalLog log;
    readonly Func<ulong> newFnode;
    readonly Dictionary<string, ulong> fnodes = new(StringComparer.Ordinal);

    public RecordedEvents(string directory, LocalLog log, Func<ulong> newFnode, LiveFiles live)
    {
        (this.directory, this.log, this.newFnode) = (directory, log, newFnode);
        foreach (var file in live.Files)
            if (file.Class != FileClass.Plain) fnodes[file.Name] = file.Fnode;
    }

    public void Tell(string name, Action<RecordedEvents> happened) => happened(this);

    /// <summary>Tells what the directory shows that was never told.</summary>
    public void Reconcile(LiveFiles live)
    {
        var present = Directory.EnumerateFiles(directory).Select(p => Path.GetFileName(p)).Where(IsRecorded)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var name in fnodes.Keys.Where(n => !present.Contains(n)).ToArray()) OnDeleted(name);
        foreach (var name in present)
        {
            var path = Path.Combine(directory, name);
            var known = fnodes.TryGetValue(name, out var fnode) ? live.Find(fnode) : null;
            if (ClassOf(name) == FileClass.RocksSmall)
            {
                var bytes = File.ReadAllBytes(path);
                if (known is not null && known.Bytes.Span.SequenceEqual(bytes)) continue;
                OnCreated(name);
                OnAppended(name, bytes, bytes.Length);
                continue;
            }
            var size = new FileInfo(path).Length;
            if (known is { IsSealed: true } && known.SizeBytes == size) continue;
            OnCreated(name);
            OnSealed(name, size, ChecksumOf(path));
        }
    }

    static uint ChecksumOf(string path)
    {
        using var handle = File.OpenHandle(path);
        var buffer = new byte[1 << 20];
        var crc = 0u;
        for (long at = 0; ;)
        {
            var got = RandomAccess.Read(handle, buffer, at);
            if (got == 0) return crc;
            crc = Crc32C.Compute(buffer.AsSpan(0, got), crc);
            at += got;
        }
    }

    static bool IsRecorded(string name) => TrackedName.RocksClassOf(name) is not null;

    public static FileClass ClassOf(string name) => TrackedName.RocksClassOf(name)
        ?? throw new RecoveryException(RecoveryError.Invalid,
            $"RocksDB calls a file {name}: this version does not know what that is.",
            "Report this.");

    public void OnCreated(string name)
    {
        OnDeleted(name);
        var fnode = newFnode();
        fnodes[name] = fnode;
        log.EnqueueEvent(RecordKind.FileCreated, FileRecords.Created(fnode, ClassOf(name), name));
    }

    public void OnAppended(string name, byte[] bytes, long sizeBytes)
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileWritten, FileRecords.Written(fnode, sizeBytes - bytes.Length), bytes);
    }

    public void OnSealed(string name, long sizeBytes, uint crc32c)
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileSealed, FileRecords.Sealed(fnode, sizeBytes, crc32c));
    }

    public void OnTruncated(string name, long sizeBytes)
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileTruncated, FileRecords.Truncated(fnode, sizeBytes));
    }

    public void OnRenamed(string name, string newName)
    {
        if (!fnodes.Remove(name, out var fnode)) return;
        OnDeleted(newName);
        fnodes[newName] = fnode;
        log.EnqueueEvent(RecordKind.FileRenamed, FileRecords.Renamed(fnode, newName));
    }

    public void OnLinked(string name, string otherName)
    {
        if (!fnodes.TryGetValue(name, out var fnode)) return;
        fnodes[otherName] = fnode;
        log.EnqueueEvent(RecordKind.FileLinked, FileRecords.Linked(fnode, otherName));
    }

    public void OnDeleted(string name)
    {
        if (fnodes.Remove(name, out var fnode)) log.EnqueueEvent(RecordKind.FileDeleted, FileRecords.Deleted(fnode));
    }
}
