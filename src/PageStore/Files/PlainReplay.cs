using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// Repeats the records of plain files on the files themselves, after a crash. Repeating what the files hold already changes
/// nothing: writes and cuts assign.
/// </summary>
internal sealed class PlainReplay(ILogDisk disk, string directory) : IDisposable
{
    const int OpenFilesMax = 64;

    readonly Dictionary<ulong, ILogFile> open = [];

    /// <summary>Takes the next record; <paramref name="live"/> has taken it before.</summary>
    public void Take(in Record record, LiveFiles live)
    {
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var created = FileRecords.ReadCreated(record.Body);
                if (created.Class == FileClass.Plain) Open(created.Fnode, LogFileMode.Create);
                break;
            case RecordKind.FileWritten:
                var written = FileRecords.ReadWritten(record.Body);
                if (IsPlain(live, written.Fnode)) Open(written.Fnode, LogFileMode.Write).Write(written.Offset, written.Bytes);
                break;
            case RecordKind.FileTruncated:
                var (fnode, size) = FileRecords.ReadTruncated(record.Body);
                if (!IsPlain(live, fnode)) break;
                var file = Open(fnode, LogFileMode.Write);
                if (file.SizeBytes > size) file.Truncate(size);
                break;
            case RecordKind.FileDeleted:
                if (open.Remove(FileRecords.ReadDeleted(record.Body), out var closed)) closed.Dispose();
                break;
        }
    }

    /// <summary>Brings what was repeated to the disk: hints that come after say that it is there.</summary>
    public void SyncAll()
    {
        if (open.Count == 0) return;
        foreach (var file in open.Values) file.SyncData();
        disk.SyncDirectory(directory);
    }

    static bool IsPlain(LiveFiles live, ulong fnode) => live.ClassOf(fnode) == FileClass.Plain;

    ILogFile Open(ulong fnode, LogFileMode mode)
    {
        if (mode != LogFileMode.Create && open.TryGetValue(fnode, out var known)) return known;
        if (open.Count >= OpenFilesMax)
        {
            SyncAll();
            Dispose();
        }
        var path = Path.Combine(directory, fnode.ToString("x16"));
        return open[fnode] = disk.Open(path, mode == LogFileMode.Write && !disk.Exists(path) ? LogFileMode.Create : mode);
    }

    public void Dispose()
    {
        foreach (var file in open.Values) file.Dispose();
        open.Clear();
    }
}
