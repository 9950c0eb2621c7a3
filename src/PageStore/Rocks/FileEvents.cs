using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// What happens to RocksDB's files, as records in line for the log: which name is which file, and one record for each
/// change. By one thread at a time.
/// </summary>
internal sealed class FileEvents(LocalLog log, Func<ulong> newFnode)
{
    readonly Dictionary<string, ulong> fnodes = new(StringComparer.Ordinal);

    /// <summary>The files that there are.</summary>
    public IReadOnlyCollection<string> Names => fnodes.Keys;

    /// <summary>A file that the log knows already.</summary>
    public void Know(string name, ulong fnode) => fnodes[name] = fnode;

    /// <summary>The identity of the file of that name.</summary>
    public bool TryFind(string name, out ulong fnode) => fnodes.TryGetValue(name, out fnode);

    /// <summary>A file was created, empty.</summary>
    public void Created(string name, FileClass fileClass)
    {
        Deleted(name);
        var fnode = newFnode();
        fnodes[name] = fnode;
        log.EnqueueEvent(RecordKind.FileCreated, FileRecords.Created(fnode, fileClass, name));
    }

    /// <summary>Bytes were written.</summary>
    public void Written(string name, long offset, ReadOnlySpan<byte> bytes)
    {
        if (!fnodes.TryGetValue(name, out var fnode)) return;
        Span<byte> start = stackalloc byte[FileRecords.WrittenStartBytes];
        FileRecords.StartWritten(start, fnode, offset);
        log.EnqueueEvent(RecordKind.FileWritten, start, bytes);
    }

    /// <summary>A file will not change any more.</summary>
    public void Sealed(string name, long sizeBytes, uint crc32c)
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileSealed, FileRecords.Sealed(fnode, sizeBytes, crc32c));
    }

    /// <summary>A file was cut.</summary>
    public void Truncated(string name, long sizeBytes)
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileTruncated, FileRecords.Truncated(fnode, sizeBytes));
    }

    /// <summary>A file has another name; one that had it is gone.</summary>
    public void Renamed(string name, string newName)
    {
        if (!fnodes.Remove(name, out var fnode)) return;
        Deleted(newName);
        fnodes[newName] = fnode;
        log.EnqueueEvent(RecordKind.FileRenamed, FileRecords.Renamed(fnode, newName));
    }

    /// <summary>A file has one more name.</summary>
    public void Linked(string name, string otherName)
    {
        if (!fnodes.TryGetValue(name, out var fnode)) return;
        fnodes[otherName] = fnode;
        log.EnqueueEvent(RecordKind.FileLinked, FileRecords.Linked(fnode, otherName));
    }

    /// <summary>A file is gone.</summary>
    public void Deleted(string name)
    {
        if (fnodes.Remove(name, out var fnode)) log.EnqueueEvent(RecordKind.FileDeleted, FileRecords.Deleted(fnode));
    }

    /// <summary>The checksum of a whole file.</summary>
    public static uint ChecksumOf(string path)
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
}
