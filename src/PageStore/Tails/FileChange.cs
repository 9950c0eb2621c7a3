using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tails;

/// <summary>What was done to a file of a RocksDB's directory.</summary>
internal enum FileChangeKind
{
    Created,
    Appended,
    Truncated,
    Sealed,
    Renamed,
    Linked,
    Deleted,
}

/// <summary>A change of a file in the log of a recorded RocksDB.</summary>
/// <param name="Lsn">Its record.</param>
/// <param name="Time">When that was made.</param>
/// <param name="Epoch">The writer's.</param>
/// <param name="Kind">What was done.</param>
/// <param name="Name">The file's name; <c>fnode ..</c> of one whose creation is not in the log any more.</param>
/// <param name="OtherName">The new name of a renamed or linked file.</param>
/// <param name="Offset">Where bytes were appended, or how many are left.</param>
/// <param name="Bytes">How many bytes came; of a sealed file, how many it has.</param>
internal sealed record FileChange(ulong Lsn, DateTimeOffset Time, ulong Epoch, FileChangeKind Kind, string Name,
    string? OtherName, long Offset, long Bytes)
{
    /// <summary>
    /// Reads a record, and applies it to the files that live; null for one that is about no file.
    /// </summary>
    public static FileChange? Take(in Record record, ulong epoch, LiveFiles live)
    {
        var change = Read(record, epoch, live);
        live.Apply(record);
        return change;
    }

    static FileChange? Read(in Record record, ulong epoch, LiveFiles live)
    {
        var lsn = record.Lsn;
        var time = DateTimeOffset.FromUnixTimeMilliseconds(record.UnixTimeMs);
        FileChange Of(FileChangeKind kind, string name, long bytes = 0, string? other = null, long offset = 0) =>
            new(lsn, time, epoch, kind, name, other, offset, bytes);
        string NameOf(ulong fnode) => live.NameOf(fnode) ?? $"fnode {fnode:x16}";
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                return Of(FileChangeKind.Created, FileRecords.ReadCreated(record.Body).Name);
            case RecordKind.FileWritten:
                var write = FileRecords.ReadWritten(record.Body);
                return Of(FileChangeKind.Appended, NameOf(write.Fnode), write.Bytes.Length, offset: write.Offset);
            case RecordKind.FileTruncated:
                var (cut, left) = FileRecords.ReadTruncated(record.Body);
                return Of(FileChangeKind.Truncated, NameOf(cut), offset: left);
            case RecordKind.FileSealed:
                var (sealedOne, size, _) = FileRecords.ReadSealed(record.Body);
                return Of(FileChangeKind.Sealed, NameOf(sealedOne), size);
            case RecordKind.FileRenamed or RecordKind.FileLinked:
                var (named, name) = FileRecords.ReadNamed(record.Body);
                var kind = record.Kind == RecordKind.FileRenamed ? FileChangeKind.Renamed : FileChangeKind.Linked;
                return Of(kind, NameOf(named), other: name);
            case RecordKind.FileDeleted:
                return Of(FileChangeKind.Deleted, NameOf(FileRecords.ReadDeleted(record.Body)));
            default:
                return null;
        }
    }
}
