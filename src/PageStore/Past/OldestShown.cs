using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Past;

/// <summary>
/// The oldest state that a directory can show. Its page files show one that may be older than its hints, which say the
/// names of databases and WALs as of later. They said the same before, back to the last record that changed any.
/// </summary>
internal sealed class OldestShown
{
    readonly HashSet<ulong> pageFiles;
    readonly bool mayHaveWals;
    ulong lsn;
    long firstMs, lastMs;
    bool isInChange;

    OldestShown(Hints hints, ulong lsn, bool mayHaveWals)
    {
        (this.lsn, this.mayHaveWals) = (lsn, mayHaveWals);
        pageFiles = [.. hints.Files.Where(f => f.Class != FileClass.Plain).Select(f => f.Fnode)];
    }

    /// <summary>The state's LSN, and its time in milliseconds since 1970 or a later one.</summary>
    /// <param name="options">The store.</param>
    /// <param name="hints">Its hints; null when it never had any, and nothing was flushed.</param>
    /// <param name="applied">What its page files hold.</param>
    /// <param name="from">The first record to be replayed.</param>
    /// <param name="mayHaveWals">
    /// Whether a database is in WAL mode by its page files: then a file that went since may have been its WAL.
    /// </param>
    public static (ulong Lsn, long TimeMs) Find(StoreOptions options, Hints? hints, ulong applied, ulong from,
        bool mayHaveWals)
    {
        if (hints is null) return (applied, 0);
        if (applied >= hints.Lsn) return (applied, hints.UnixTimeMs);
        var shown = new OldestShown(hints, Math.Max(applied, from - 1), mayHaveWals);
        if (LogTail.TryOpen(options.Disk, options.Directory, from) is not { } tail
            || !tail.TryAdvance(shown.Look, (in Record r) => r.Lsn > hints.Lsn))
            return (hints.Lsn, hints.UnixTimeMs);
        return (shown.lsn, Math.Max(shown.lastMs, shown.firstMs));
    }

    void Look(in Record record)
    {
        if (firstMs == 0) firstMs = record.UnixTimeMs;
        if (isInChange || IsChange(record)) (lsn, isInChange) = (Math.Max(lsn, record.Lsn), record.Continues);
        if (record.Lsn <= lsn) lastMs = Math.Max(lastMs, record.UnixTimeMs);
    }

    bool IsChange(in Record record)
    {
        switch (record.Kind)
        {
            case RecordKind.PageCommit or RecordKind.EpochBegan or RecordKind.Noted:
                return false;
            case RecordKind.FileCreated
                when FileRecords.ReadCreated(record.Body) is { Class: not FileClass.Plain } made:
                pageFiles.Add(made.Fnode);
                return false;
            case RecordKind.FileCreated or RecordKind.DatabaseCreated or RecordKind.DatabaseRenamed
                or RecordKind.DatabaseDeleted:
                return true;
            case RecordKind.FileWritten:
                return mayHaveWals && !pageFiles.Contains(FileRecords.ReadWritten(record.Body).Fnode);
            case RecordKind.FileTruncated:
                return mayHaveWals && !pageFiles.Contains(FileRecords.ReadTruncated(record.Body).Fnode);
            case RecordKind.FileSealed:
                return mayHaveWals && !pageFiles.Contains(FileRecords.ReadSealed(record.Body).Fnode);
            case RecordKind.FileRenamed or RecordKind.FileLinked:
                return mayHaveWals && !pageFiles.Contains(FileRecords.ReadNamed(record.Body).Fnode);
            case RecordKind.FileDeleted:
                return mayHaveWals && !pageFiles.Contains(FileRecords.ReadDeleted(record.Body));
            default:
                return true;
        }
    }
}
