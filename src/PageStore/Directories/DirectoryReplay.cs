using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Files;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// Follows the files of a RocksDB's directory along its log: which live, the bytes of small ones in memory, those of
/// write-ahead logs in files by fnode. Tables and blob files are only known by name, until they are wanted.
/// </summary>
internal sealed class DirectoryReplay : IDisposable
{
    readonly WholeStates states;
    readonly Hints hints;
    readonly string work;
    readonly LooseExtents extents;
    readonly Dictionary<ulong, SafeFileHandle> logs = [];
    readonly DiskReserve room;
    bool areLogsWhole;

    /// <param name="hints">Where it starts.</param>
    /// <param name="work">An empty directory for the bytes of write-ahead logs.</param>
    /// <param name="extents">What the remote has of sealed files.</param>
    public DirectoryReplay(Hints hints, string work, LooseExtents extents)
    {
        (this.hints, this.work, this.extents) = (hints, work, extents);
        states = new WholeStates(hints);
        room = new DiskReserve(LocalDisk.Instance, work);
        foreach (var file in hints.Files)
            if (file.Class == FileClass.RocksLog) Create(file.Fnode);
    }

    /// <inheritdoc cref="WholeStates.WholeLsn"/>
    public ulong WholeLsn => states.WholeLsn;

    /// <inheritdoc cref="WholeStates.Lacking"/>
    public LiveFile? Lacking => states.Lacking;

    LiveFiles Live => states.Live;

    /// <summary>What lives at the last record, of the log and epoch given.</summary>
    public Hints State(ulong epoch) => Live.Snapshot(hints.LogId, epoch, static lsn => lsn + 1);

    /// <summary>Where the bytes of a write-ahead log are.</summary>
    public string PathOf(ulong fnode) => Path.Combine(work, fnode.ToString("x16"));

    /// <summary>
    /// Takes the next record. Of those up to the hints, only what was written to write-ahead logs matters.
    /// </summary>
    public void Take(in Record record)
    {
        room.Take(record.Body.Length);
        if (record.Lsn > hints.Lsn)
        {
            CheckLogs();
            TakeState(record);
        }
        TakeBytes(record);
    }

    void TakeState(in Record record)
    {
        states.Take(record, extents);
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var (created, fileClass, _) = FileRecords.ReadCreated(record.Body);
                if (fileClass == FileClass.RocksLog) Create(created);
                DropGone();
                break;
            case RecordKind.FileDeleted or RecordKind.FileRenamed:
                DropGone();
                break;
        }
    }

    void TakeBytes(in Record record)
    {
        switch (record.Kind)
        {
            case RecordKind.FileCreated when record.Lsn <= hints.Lsn:
                var (created, _, _) = FileRecords.ReadCreated(record.Body);
                if (logs.TryGetValue(created, out var begun)) RandomAccess.SetLength(begun, 0);
                break;
            case RecordKind.FileWritten:
                var write = FileRecords.ReadWritten(record.Body);
                if (logs.TryGetValue(write.Fnode, out var file)) RandomAccess.Write(file, write.Bytes, write.Offset);
                break;
            case RecordKind.FileTruncated:
                var (cut, size) = FileRecords.ReadTruncated(record.Body);
                if (logs.TryGetValue(cut, out var shorter) && RandomAccess.GetLength(shorter) > size)
                    RandomAccess.SetLength(shorter, size);
                break;
        }
    }

    /// <summary>When the hints were reached: write-ahead logs must have come to what the hints say of them.</summary>
    public void CheckLogs()
    {
        if (areLogsWhole) return;
        areLogsWhole = true;
        foreach (var file in hints.Files)
            if (file.Class == FileClass.RocksLog && RandomAccess.GetLength(logs[file.Fnode]) is var length
                && length != file.SizeBytes)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"The log up to LSN {hints.Lsn} has {length} bytes of the write-ahead log {file.Name}, and the "
                        + $"hints say {file.SizeBytes}.",
                    "Restore from older hints")
                { Lsn = hints.Lsn };
    }

    void Create(ulong fnode)
    {
        if (logs.ContainsKey(fnode)) return;
        logs[fnode] = File.OpenHandle(PathOf(fnode), FileMode.Create, FileAccess.ReadWrite);
    }

    void DropGone()
    {
        foreach (var fnode in logs.Keys.Where(f => Live.ClassOf(f) is null).ToArray())
        {
            logs.Remove(fnode, out var file);
            file!.Dispose();
            File.Delete(PathOf(fnode));
        }
    }

    public void Dispose()
    {
        foreach (var file in logs.Values) file.Dispose();
        logs.Clear();
    }
}
