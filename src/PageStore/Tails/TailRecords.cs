using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tails;

/// <summary>
/// Makes commits of records: gathers a group's parts by database, names databases, finds the transactions in WALs.
/// </summary>
internal sealed class TailRecords(LiveFiles live, bool withPages)
{
    sealed class Gathered(uint database)
    {
        public readonly uint Database = database;
        public readonly List<TailedPage> Pages = [];
        public long Bytes, SizeBytes;
        public int PageSize;
        public ulong Checksum;
        public bool IsRebase;
    }

    readonly List<Gathered> group = [];
    readonly Dictionary<ulong, WalWrites> wals = [];

    /// <summary>Takes a record that is only to be known, such as those before the place to start at.</summary>
    public void Pass(in Record record) => live.ApplyOfOther(record);

    /// <summary>Takes the next record; adds what it completes to <paramref name="found"/>.</summary>
    public void Take(in Record record, ulong epoch, List<TailedCommit> found)
    {
        switch (record.Kind)
        {
            case RecordKind.PageCommit:
                Gather(record);
                break;
            case RecordKind.FileWritten:
                TakeWrite(record, epoch, found);
                break;
            case RecordKind.FileDeleted:
                wals.Remove(FileRecords.ReadDeleted(record.Body));
                break;
            case RecordKind.DatabaseCreated:
                var (created, name) = DatabaseRecords.ReadNamed(record.Body);
                found.Add(Event(record, epoch, TailedKind.Created, created, name));
                break;
            case RecordKind.DatabaseRenamed:
                var (renamed, newName) = DatabaseRecords.ReadNamed(record.Body);
                found.Add(Event(record, epoch, TailedKind.Renamed, renamed,
                    newName) with
                { EarlierName = NameOf(renamed) });
                break;
            case RecordKind.DatabaseDeleted:
                var deleted = DatabaseRecords.ReadId(record.Body);
                found.Add(Event(record, epoch, TailedKind.Deleted, deleted, NameOf(deleted)));
                break;
        }
        live.ApplyOfOther(record);
        if (!record.Continues && group.Count > 0) EndGroup(record, epoch, found);
    }

    static TailedCommit Event(in Record record, ulong epoch, TailedKind kind, uint id, string name) => new()
    {
        Lsn = record.Lsn,
        Time = DateTimeOffset.FromUnixTimeMilliseconds(record.UnixTimeMs),
        Kind = kind,
        Database = name,
        DatabaseId = id,
        Bytes = record.Body.Length,
        Epoch = epoch,
    };

    void Gather(in Record record)
    {
        var part = PageCommit.Read(record);
        var id = part.Database;
        var gathered = group.Find(g => g.Database == id);
        if (gathered is null) group.Add(gathered = new Gathered(id));
        gathered.Bytes += record.Body.Length;
        gathered.IsRebase |= part.IsRebase;
        foreach (var change in part)
            gathered.Pages.Add(
                new TailedPage(change.Page, change.Form, change.Length,
                withPages ? change.Payload.ToArray() : default));
        if (!part.IsLastPart) return;
        (gathered.PageSize, gathered.SizeBytes, gathered.Checksum) = (part.PageSize, part.SizeBytes, part.Checksum);
    }

    void EndGroup(in Record record, ulong epoch, List<TailedCommit> found)
    {
        foreach (var gathered in group)
        {
            var name = NameOf(gathered.Database);
            found.Add(Event(record, epoch, HasWal(name) ? TailedKind.Checkpoint : TailedKind.Commit, gathered.Database,
                name) with
            {
                Pages = gathered.Pages,
                Bytes = gathered.Bytes,
                PageSize = gathered.PageSize,
                SizeBytes = gathered.SizeBytes,
                Checksum = gathered.Checksum,
                IsRebase = gathered.IsRebase,
            });
        }
        group.Clear();
    }

    bool HasWal(string name) => live.PlainSizeOf(name + Wal.Suffix) > 0;

    void TakeWrite(in Record record, ulong epoch, List<TailedCommit> found)
    {
        var write = FileRecords.ReadWritten(record.Body);
        if (!wals.TryGetValue(write.Fnode, out var wal))
        {
            if (live.Find(write.Fnode) is not { Class: FileClass.Plain } file || !Wal.IsName(file.Name)) return;
            wals.Add(write.Fnode, wal = new WalWrites(withPages));
        }
        if (!wal.Take(write, record.Body.Length, out var commit)) return;
        var name = Wal.DatabaseOf(live.Find(write.Fnode)!.Name);
        found.Add(Event(record, epoch, TailedKind.WalCommit, IdOf(name), name) with
        {
            Pages = [.. commit.Pages.Select(p => new TailedPage(p.Page, PageForm.Whole, p.Length, p.Bytes))],
            PageSize = commit.PageSize,
            SizeBytes = commit.SizeBytes,
            Bytes = commit.Bytes,
        });
    }

    uint IdOf(string name) => live.DatabaseIdOf(name);

    string NameOf(uint id) => live.DatabaseNameOf(id) ?? $"#{id}";
}
