using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Operations;

/// <summary>One database's part in a commit.</summary>
internal sealed record CommittedDatabase(uint Id, string Database, long Pages, long Bytes, long SizeBytes);

/// <summary>One commit, found in a log.</summary>
internal sealed record LoggedCommit(ulong Lsn, DateTimeOffset Time, IReadOnlyList<CommittedDatabase> Databases);

/// <summary>A database as a log shows it. What only the pages would tell is not known here.</summary>
internal sealed record LoggedDatabase(uint Id, string Name)
{
    public ulong? Lsn { get; set; }
    public DateTimeOffset? Time { get; set; }
    public long? SizeBytes { get; set; }
    public int? PageSize { get; set; }
    public string? Checksum { get; set; }
}

/// <summary>Follows a log's records: which databases there are, and what each commit changed.</summary>
internal sealed class LogReading
{
    readonly Dictionary<string, LoggedDatabase> known = [];
    readonly List<TailedCommit> found = [];
    LiveFiles live = new();
    TailRecords records;

    public LogReading() => records = new TailRecords(live, withPages: false);

    /// <summary>
    /// Every commit, in order; those of WAL-mode databases too. A checkpoint is none: it brings nothing new.
    /// </summary>
    public List<LoggedCommit> Commits { get; } = [];

    /// <summary>The databases there are.</summary>
    public IEnumerable<LoggedDatabase> Databases =>
        live.Databases.Select(d => known.GetValueOrDefault(d.Name) ?? new LoggedDatabase(d.Id, d.Name))
            .OrderBy(d => d.Name, StringComparer.Ordinal);

    public DateTimeOffset? LastTime { get; private set; }

    public long Records { get; private set; }

    /// <summary>Starts (again) from the databases and WALs that hints list.</summary>
    public void Start(Hints? hints)
    {
        (live, Records) = (new LiveFiles(), 0);
        records = new TailRecords(live, withPages: false);
        known.Clear();
        Commits.Clear();
        if (hints is not null)
            live.Load(hints with { Lsn = 0, Files = [.. hints.Files.Where(f => f.Class == FileClass.Plain)] });
    }

    /// <summary>What the pages say of a database that the log has no commit of.</summary>
    public void Fill(string name, DatabaseVersion version)
    {
        var database = Of(name);
        if (database.Lsn is not null) return;
        database.Lsn = version.Lsn;
        database.SizeBytes = version.SizeBytes;
        database.PageSize = version.PageSize;
        database.Checksum = version.Checksum.ToString("x16");
    }

    public void Take(in Record record)
    {
        Records++;
        LastTime = TimeText.FromMs(record.UnixTimeMs);
        records.Take(record, 0, found);
        foreach (var each in found) Take(each);
        found.Clear();
    }

    void Take(TailedCommit commit)
    {
        if (commit.Kind is TailedKind.Renamed && known.Remove(commit.EarlierName!, out var renamed))
            known[commit.Database] = renamed with { Name = commit.Database };
        if (commit.Kind is TailedKind.Deleted) known.Remove(commit.Database);
        if (commit.Kind is not (TailedKind.Commit or TailedKind.WalCommit or TailedKind.Checkpoint)) return;
        var database = Of(commit.Database);
        (database.Lsn, database.Time, database.SizeBytes, database.PageSize) =
            (commit.Lsn, commit.Time, commit.SizeBytes, commit.PageSize);
        // A WAL's frames are not in the checksum before a checkpoint brings them in.
        database.Checksum = commit.Kind == TailedKind.WalCommit ? null : commit.Checksum.ToString("x16");
        if (commit.Kind != TailedKind.Checkpoint) Add(Commits, commit);
    }

    LoggedDatabase Of(string name)
    {
        if (!known.TryGetValue(name, out var database))
            known[name] = database = new LoggedDatabase(live.DatabaseIdOf(name), name);
        return database;
    }

    /// <summary>Adds a database's part to a list of commits in order.</summary>
    public static void Add(List<LoggedCommit> commits, TailedCommit commit)
    {
        var part = new CommittedDatabase(commit.DatabaseId, commit.Database, commit.Pages.Count, commit.Bytes,
            commit.SizeBytes);
        if (commits.Count > 0 && commits[^1].Lsn == commit.Lsn)
            commits[^1] = commits[^1] with { Databases = [.. commits[^1].Databases, part] };
        else commits.Add(new LoggedCommit(commit.Lsn, commit.Time, [part]));
    }
}
