using System.Collections.Concurrent;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// The WALs of a follower's databases: what is committed in them, for readers. Records are taken by one thread, views
/// by any.
/// </summary>
internal sealed class FollowedWals : IDisposable
{
    readonly LiveFiles live;
    readonly Func<LiveFile, FollowedWal?> open;
    readonly Dictionary<ulong, (string Database, FollowedWal Wal)> wals = [];
    readonly ConcurrentDictionary<string, WalView> views = new(StringComparer.Ordinal);

    /// <param name="live">The files that live at the last record taken.</param>
    /// <param name="lsn">That record.</param>
    /// <param name="open">Opens a WAL that the replica has; null when it is not there.</param>
    public FollowedWals(LiveFiles live, ulong lsn, Func<LiveFile, FollowedWal?> open)
    {
        (this.live, this.open) = (live, open);
        foreach (var file in live.Files) Open(file, lsn);
    }

    /// <summary>
    /// Told of each page of a database that a commit in its WAL wrote, or that is no longer read from the WAL.
    /// </summary>
    public Action<string, uint>? Changed { get; set; }

    /// <summary>What the WAL of a database holds; null when there is none.</summary>
    public WalView? ViewOf(string database) => views.GetValueOrDefault(database);

    /// <summary>Takes a record that the live files have taken before.</summary>
    public void Take(in Record record)
    {
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var created = FileRecords.ReadCreated(record.Body);
                if (created.Class == FileClass.Plain && live.Find(created.Fnode) is { } file) Open(file, record.Lsn);
                break;
            case RecordKind.FileWritten:
                var write = FileRecords.ReadWritten(record.Body);
                if (wals.TryGetValue(write.Fnode, out var written)
                    && written.Wal.Written(write.Offset, write.Bytes.Length, record.Lsn))
                    Publish(written.Database, written.Wal);
                break;
            case RecordKind.FileTruncated:
                // A WAL is cut to nothing, which makes it a new file, or to a limit beyond what counts.
                break;
            case RecordKind.FileDeleted:
                if (!wals.Remove(FileRecords.ReadDeleted(record.Body), out var deleted)) break;
                if (views.TryRemove(deleted.Database, out var gone)) TellOf(deleted.Database, gone);
                deleted.Wal.Dispose();
                break;
        }
    }

    void Open(LiveFile file, ulong lsn)
    {
        if (file.Class != FileClass.Plain || !Wal.IsName(file.Name)) return;
        if (open(file) is not { } wal) return;
        var database = Wal.DatabaseOf(file.Name);
        wals[file.Fnode] = (database, wal);
        wal.Committed = page => Changed?.Invoke(database, page);
        wal.Written(0, 0, lsn);
        Publish(database, wal);
    }

    void TellOf(string database, WalView gone)
    {
        if (Changed is not { } tell) return;
        foreach (var page in gone.Pages.Keys) tell(database, page);
    }

    void Publish(string database, FollowedWal wal)
    {
        if (views.TryGetValue(database, out var before) && !ReferenceEquals(before.Frames, wal.View?.Frames))
            TellOf(database, before);
        if (wal.View is { } view) views[database] = view;
        else views.TryRemove(database, out _);
    }

    public void Dispose()
    {
        foreach (var (_, wal) in wals.Values) wal.Dispose();
        wals.Clear();
    }
}
