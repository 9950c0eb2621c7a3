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
    readonly LooseExtents extents;
    readonly ReplayedLogs logs;
    readonly List<ulong> gone = [];
    readonly DiskReserve room;
    bool areLogsWhole;

    /// <param name="hints">Where it starts.</param>
    /// <param name="work">An empty directory for the bytes of write-ahead logs.</param>
    /// <param name="extents">What the remote has of sealed files.</param>
    public DirectoryReplay(Hints hints, string work, LooseExtents extents)
    {
        (this.hints, this.extents) = (hints, extents);
        logs = new ReplayedLogs(work);
        states = new WholeStates(hints, gone.Add);
        room = new DiskReserve(LocalDisk.Instance, work);
        foreach (var file in hints.Files)
            if (file.Class == FileClass.RocksLog) logs.Begin(file.Fnode);
    }

    /// <inheritdoc cref="WholeStates.WholeLsn"/>
    public ulong WholeLsn => states.WholeLsn;

    /// <inheritdoc cref="WholeStates.Lacking"/>
    public LiveFile? Lacking => states.Lacking;

    LiveFiles Live => states.Live;

    /// <summary>What lives at the last record, of the log and epoch given.</summary>
    public Hints State(ulong epoch) => Live.Snapshot(hints.LogId, epoch, static lsn => lsn + 1);

    /// <summary>Where the bytes of a write-ahead log are.</summary>
    public string PathOf(ulong fnode) => logs.PathOf(fnode);

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
        // What has the identity of a file that is gone comes after it.
        foreach (var fnode in gone) logs.Delete(fnode);
        gone.Clear();
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var (created, fileClass, _) = FileRecords.ReadCreated(record.Body);
                if (fileClass == FileClass.RocksLog) logs.Begin(created);
                break;
        }
    }

    void TakeBytes(in Record record)
    {
        switch (record.Kind)
        {
            case RecordKind.FileCreated when record.Lsn <= hints.Lsn:
                var (created, _, _) = FileRecords.ReadCreated(record.Body);
                logs.BeginAnew(created);
                break;
            case RecordKind.FileWritten:
                var write = FileRecords.ReadWritten(record.Body);
                var fnode = write.Fnode;
                logs.Write(record.Lsn, write, () => Live.NameOf(fnode));
                break;
            case RecordKind.FileTruncated:
                var (cut, size) = FileRecords.ReadTruncated(record.Body);
                logs.Truncate(cut, size);
                break;
        }
    }

    /// <summary>When the hints were reached: write-ahead logs must have come to what the hints say of them.</summary>
    public void CheckLogs()
    {
        if (areLogsWhole) return;
        areLogsWhole = true;
        foreach (var file in hints.Files)
            if (file.Class == FileClass.RocksLog && logs.LengthOf(file.Fnode) is var length
                && length != file.SizeBytes)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"The log up to LSN {hints.Lsn} has {length} bytes of the write-ahead log {file.Name}, and the "
                        + $"hints say {file.SizeBytes}.",
                    "Restore from older hints")
                { Lsn = hints.Lsn };
    }

    public void Dispose() => logs.Dispose();
}
