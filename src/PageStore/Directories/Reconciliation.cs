using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// At an opening, before RocksDB has the directory: brings the log to what the directory shows, which is what counts. A
/// crash keeps the newest changes from the log, and a loss of power may take from the directory what the log has. All
/// of it is one record group, so that no state in between can be restored.
/// </summary>
internal sealed class Reconciliation
{
    const int PieceBytes = 1 << 20;

    /// <summary>
    /// What write-ahead logs bring at once, at most: one group of records, of which a part is nothing, holds them, and
    /// becomes one object of the remote.
    /// </summary>
    const long LogBytesMax = 1L << 30;

    readonly string directory;
    readonly LocalLog log;
    readonly LiveFiles live;
    readonly bool logsAnew;
    readonly List<Action<Emit>> changes = [];
    long logBytes;

    delegate void Emit(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b);

    Reconciliation(string directory, LocalLog log, LiveFiles live, bool logsAnew) =>
        (this.directory, this.log, this.live, this.logsAnew) = (directory, log, live, logsAnew);

    /// <param name="directory">RocksDB's.</param>
    /// <param name="log">The log.</param>
    /// <param name="live">Which files live at its end.</param>
    /// <param name="logsAnew">
    /// Write-ahead logs are written into the log from their beginning: who reads it from here on has not seen that.
    /// </param>
    public static void Run(string directory, LocalLog log, LiveFiles live, bool logsAnew)
    {
        var reconciliation = new Reconciliation(directory, log, live, logsAnew);
        reconciliation.Compare();
        reconciliation.Append();
    }

    void Compare()
    {
        var present = Directory.EnumerateFiles(directory).Select(p => Path.GetFileName(p))
            .Where(n => TrackedName.RocksClassOf(n) is not null).ToHashSet(StringComparer.Ordinal);
        var known = new Dictionary<string, LiveFile>(StringComparer.Ordinal);
        foreach (var file in live.Files)
        {
            foreach (var name in file.Names.Where(present.Contains)) known[name] = file;
            // One name of several is not taken back alone: the file is told anew under those that are left.
            if (file.Names.All(present.Contains)) continue;
            changes.Add(emit => emit(RecordKind.FileDeleted, FileRecords.Deleted(file.Fnode), default));
            foreach (var name in file.Names) known.Remove(name);
        }
        foreach (var name in present.Order(StringComparer.Ordinal)) Compare(name, known.GetValueOrDefault(name));
    }

    void Compare(string name, LiveFile? known)
    {
        var path = Path.Combine(directory, name);
        var fileClass = TrackedName.RocksClassOf(name)!.Value;
        switch (fileClass)
        {
            case FileClass.RocksSmall:
                var bytes = SmallFiles.Read(path);
                if (known is null || !known.Bytes.Span.SequenceEqual(bytes)) Anew(name, fileClass, path, bytes.Length);
                break;
            case FileClass.RocksLog:
                CompareLog(name, path, known);
                break;
            default:
                var size = new FileInfo(path).Length;
                if (known is { IsSealed: true } && known.SizeBytes == size) break;
                changes.Add(emit =>
                {
                    var fnode = Create(emit, fileClass, name);
                    emit(RecordKind.FileSealed, FileRecords.Sealed(fnode, size, FileEvents.ChecksumOf(path)), default);
                });
                break;
        }
    }

    /// <summary>
    /// A write-ahead log is only ever appended to: what the log has of it is its beginning, or is not it.
    /// </summary>
    void CompareLog(string name, string path, LiveFile? known)
    {
        var size = new FileInfo(path).Length;
        if (logsAnew || known is null || known.SizeBytes > size
            || ChecksumOf(path, known.SizeBytes) != known.Crc32C)
        {
            TakeLogBytes(path, size);
            Anew(name, FileClass.RocksLog, path, size);
        }
        else if (known.SizeBytes < size)
        {
            TakeLogBytes(path, size - known.SizeBytes);
            changes.Add(emit => Write(emit, known.Fnode, path, known.SizeBytes, size));
        }
    }

    void TakeLogBytes(string path, long size)
    {
        logBytes += size;
        if (logBytes > LogBytesMax)
            throw new RecoveryException(RecoveryError.Unsupported,
                $"The recovery log lacks {logBytes >> 20} MiB of write-ahead logs, {path} among them, and takes "
                    + $"{LogBytesMax >> 20} MiB at an opening.",
                "Open the RocksDB once without recording it, flush it, and close it: its tables have that then.")
            { Path = path };
    }

    void Anew(string name, FileClass fileClass, string path, long size) =>
        changes.Add(emit => Write(emit, Create(emit, fileClass, name), path, 0, size));

    ulong Create(Emit emit, FileClass fileClass, string name)
    {
        // A file that has the name loses it.
        var fnode = live.NewFnode();
        emit(RecordKind.FileCreated, FileRecords.Created(fnode, fileClass, name), default);
        return fnode;
    }

    static void Write(Emit emit, ulong fnode, string path, long from, long to)
    {
        using var file = File.OpenHandle(path);
        var buffer = new byte[PieceBytes];
        while (from < to)
        {
            var got = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, to - from)), from);
            if (got == 0)
                throw new RecoveryException(RecoveryError.IoRead,
                    $"{path} became shorter while it was read: another process uses the directory.",
                    "Close it there first.")
                { Path = path };
            emit(RecordKind.FileWritten, FileRecords.Written(fnode, from), buffer.AsSpan(0, got));
            from += got;
        }
    }

    static uint ChecksumOf(string path, long sizeBytes)
    {
        using var file = File.OpenHandle(path);
        var buffer = new byte[PieceBytes];
        var crc = 0u;
        for (long at = 0; at < sizeBytes;)
        {
            var got = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, sizeBytes - at)), at);
            if (got == 0) break;
            crc = Crc32C.Compute(buffer.AsSpan(0, got), crc);
            at += got;
        }
        return crc;
    }

    /// <summary>One group: it ends with a note, which every reader passes over.</summary>
    void Append()
    {
        if (changes.Count == 0) return;
        using var group = log.BeginGroup();
        foreach (var change in changes)
        {
            // The group is a ref struct: it goes by its log.
            change((kind, a, b) => log.AddToGroup(kind, a, b, default));
        }
        group.Complete(RecordKind.Noted, "reconciled"u8);
    }
}
