using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Past;

/// <summary>
/// A log that is applied record by record: which commits passed, which pages each database has had written, and every
/// version on the way, to be pinned. Used by one thread.
/// </summary>
internal sealed class PassingLog : IReadHost, IDisposable
{
    readonly ReplayedStore store;
    readonly RecordTaken apply;
    readonly IDisposable owner;
    readonly FollowedWals wals;
    readonly TailRecords records;
    readonly LiveFiles names = new();
    readonly FollowerReader reader;
    readonly Dictionary<uint, PageChanges> changes = [];
    // What a group that has not ended has written: nobody sees it yet.
    readonly Dictionary<uint, PageChanges> group = [];

    /// <param name="replica">Applies the records; owned.</param>
    /// <param name="wals">The WALs of its databases; owned.</param>
    /// <param name="hints">Where the store began: up to there its names are known.</param>
    public PassingLog(Replica replica, FollowedWals wals, Hints? hints)
        : this(replica.Replayed, replica.Apply, replica, wals, hints) { }

    /// <param name="store">What readers go through.</param>
    /// <param name="apply">Applies a record to it.</param>
    /// <param name="owner">Disposed with this, after the WALs.</param>
    /// <param name="wals">The WALs of its databases; owned.</param>
    /// <param name="hints">Where the store began: up to there its names are known.</param>
    public PassingLog(ReplayedStore store, RecordTaken apply, IDisposable owner, FollowedWals wals, Hints? hints)
    {
        (this.store, this.apply, this.owner, this.wals) = (store, apply, owner, wals);
        KnownTo = hints?.Lsn ?? 0;
        if (hints is not null)
            names.Load(hints with { Files = [.. hints.Files.Where(f => f.Class == FileClass.Plain)] });
        records = new TailRecords(names, withPages: false);
        reader = new FollowerReader(this, store, wals);
        wals.Changed = (database, page) => Of(changes, names.DatabaseIdOf(database)).Add(page);
    }

    /// <summary>Up to this record the store has everything from the beginning; records before only repeat it.</summary>
    public ulong KnownTo { get; }

    /// <summary>The last record taken.</summary>
    public ulong Lsn => store.LastLsn;

    /// <summary>When the last record was written, in milliseconds since 1970; 0 before the first.</summary>
    public long TimeMs { get; private set; }

    /// <summary>The commits that passed since the caller cleared this.</summary>
    public List<TailedCommit> Commits { get; } = [];

    /// <summary>The databases there are, by name.</summary>
    public IReadOnlyList<string> Databases => reader.Databases;

    /// <summary>The newest version of a database; null when there is none of that name.</summary>
    public FollowedVersion? Pin(string database) => reader.Pin(database);

    /// <summary>Which pages of a database were written since this was asked last.</summary>
    public PageChanges TakeChanges(uint database) => changes.Remove(database, out var taken)
        ? taken
        : new PageChanges();

    /// <summary>Takes the next record.</summary>
    public void Take(in Record record)
    {
        if (record.Lsn < store.NextLsn) return;
        apply(record);
        if (record.Kind == RecordKind.PageCommit) Note(record);
        wals.Take(record);
        TimeMs = Math.Max(TimeMs, record.UnixTimeMs);
        if (record.Lsn > KnownTo) records.Take(record, 0, Commits);
        if (!record.Continues) EndGroup();
    }

    void Note(in Record record)
    {
        var commit = PageCommit.Read(record);
        var written = Of(group, commit.Database);
        if (commit.IsRebase) written.AddAll();
        foreach (var change in commit) written.Add(change.Page);
        if (commit is { IsLastPart: true, PageSize: > 0 })
            written.CutTo((uint)Math.Min((commit.SizeBytes + commit.PageSize - 1) / commit.PageSize, uint.MaxValue));
    }

    void EndGroup()
    {
        foreach (var (database, written) in group) Of(changes, database).Add(written);
        group.Clear();
    }

    static PageChanges Of(Dictionary<uint, PageChanges> all, uint database)
    {
        if (!all.TryGetValue(database, out var found)) all.Add(database, found = new PageChanges());
        return found;
    }

    void IReadHost.EndRead() { }

    public void Dispose()
    {
        wals.Dispose();
        owner.Dispose();
    }
}
