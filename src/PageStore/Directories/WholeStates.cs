using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Files;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// Which states along the log of a RocksDB's directory are whole: those of which the remote has every table and blob
/// file. It lacks one that was replaced, or whose writer stopped, before it was shipped.
/// </summary>
internal sealed class WholeStates
{
    readonly LiveFiles live;
    readonly HashSet<ulong> missing = [];

    /// <param name="hints">Where it starts: a whole state.</param>
    /// <param name="gone">Told of each file that lives no more.</param>
    public WholeStates(Hints hints, Action<ulong>? gone = null)
    {
        live = new LiveFiles
        {
            Gone = fnode =>
            {
                missing.Remove(fnode);
                gone?.Invoke(fnode);
            },
        };
        live.Load(hints);
        WholeLsn = hints.Lsn;
    }

    /// <summary>What lives at the last record.</summary>
    public LiveFiles Live => live;

    /// <summary>The newest whole state, at the end of a record group.</summary>
    public ulong WholeLsn { get; private set; }

    /// <summary>
    /// A sealed file that lives at the last record and whose bytes the remote lacks; null when there is none.
    /// </summary>
    public LiveFile? Lacking => missing.Count == 0 ? null : live.Find(missing.First());

    /// <summary>Takes the next record; those up to the hints are passed over.</summary>
    public void Take(in Record record, LooseExtents extents)
    {
        live.Apply(record);
        if (record.Kind == RecordKind.FileSealed && record.Lsn > WholeLsn)
        {
            var (fnode, size, _) = FileRecords.ReadSealed(record.Body);
            if (live.ClassOf(fnode) is FileClass.RocksTable or FileClass.RocksBlob && !extents.Has(fnode, size))
                missing.Add(fnode);
        }
        if (record.Continues || record.Lsn < WholeLsn) return;
        if (missing.Count == 0) WholeLsn = record.Lsn;
    }
}
