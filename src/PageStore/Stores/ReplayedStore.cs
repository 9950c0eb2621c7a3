using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>Takes a record as it concerns plain files, which <paramref name="live"/> names.</summary>
internal delegate void FileRecordTaken(in Record record, LiveFiles live);

/// <summary>
/// A store that has no log of its own: it applies the records of another one's log, in order, and serves readers.
/// Replicas and views are made of it; they differ in what becomes of plain files. Owns its core. Records are applied by
/// one thread.
/// </summary>
internal sealed class ReplayedStore : IDisposable
{
    readonly StoreReplay replay;
    readonly Applier applier;
    readonly FileRecordTaken takeFile;
    bool disposed;

    public ReplayedStore(StoreCore core, Hints? hints, FileRecordTaken takeFile)
    {
        Core = core;
        this.takeFile = takeFile;
        LastLsn = StoreCore.FirstToReplay(hints, core.Pages.Applied) - 1;
        LastTimeMs = hints?.UnixTimeMs ?? 0;
        LogId = hints?.LogId ?? default;
        Epoch = hints?.Epoch ?? 0;
        applier = new Applier(new PageApplier(core.Pages, core.Pending), static _ => { }, core.Pending,
            static () => { });
        replay = new StoreReplay(core, core.Pages.Applied, core.HintsLsn, applier.Notify);
    }

    public StoreCore Core { get; }

    /// <summary>The last record applied, and the newest time that a record had.</summary>
    public ulong LastLsn { get; private set; }
    public long LastTimeMs { get; private set; }

    /// <summary>The last record that was brought into files; 0 where nothing is.</summary>
    public ulong SettledLsn { get; set; }

    /// <summary>The next record that it needs.</summary>
    public ulong NextLsn => LastLsn + 1;

    /// <summary>Whether it stands within a group, or an error broke off the applying of a record.</summary>
    public bool IsInGroup { get; private set; }

    /// <summary>Whose log is followed (zeros when that is not known yet), and in which epoch it was last.</summary>
    public Guid LogId { get; private set; }
    public ulong Epoch { get; private set; }

    /// <summary>When set: how much of the disk may be taken, where the records are somebody else's.</summary>
    public DiskReserve? Room { get => replay.Room; set => replay.Room = value; }

    /// <summary>Says whose log is followed.</summary>
    public void SetSource(Guid logId, ulong epoch)
    {
        if (LogId != default && LogId != logId)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The replica {Core.Directory} follows the log {LogId}, not {logId}.",
                "Give the replica of another "
                    + "store a directory of its own.")
            { Path = Core.Directory };
        (LogId, Epoch) = (logId, epoch);
    }

    /// <summary>
    /// Applies the next record. A group is published to readers with its last record. Waits when the page store lags.
    /// </summary>
    public void Apply(in Record record)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (record.Lsn != NextLsn)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The replica {Core.Directory} needs LSN {NextLsn} next and was given {record.Lsn}.")
            { Path = Core.Directory, Lsn = NextLsn };
        if (record.Kind == RecordKind.PageCommit) Core.Pending.WaitForRoom(applier.Retry);
        // An error below leaves it so.
        IsInGroup = true;
        Room?.Take(record.Body.Length);
        if (record.Lsn > Core.HintsLsn)
        {
            Core.Live.ApplyOfOther(record);
            takeFile(record, Core.Live);
        }
        if (record.Lsn > Core.HintsLsn || record.Kind is RecordKind.PageCommit or RecordKind.DatabaseDeleted)
            replay.Take(record);
        LastLsn = record.Lsn;
        LastTimeMs = Math.Max(LastTimeMs, record.UnixTimeMs);
        IsInGroup = record.Continues;
    }

    /// <summary>Waits until the page store has every commit that was applied before.</summary>
    public void Drain() => applier.Drain();

    /// <summary>Names and values for status reports.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Status() =>
        Core.Status(new(LogId, "replica", LastLsn, SettledLsn, 0, 0), null);

    /// <summary>Ends it; what was applied and not settled into files is applied again from the log.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        Core.Reader.Dispose();
        applier.Dispose();
        Core.Dispose();
    }
}
