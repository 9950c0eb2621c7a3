using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Cli;

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
    readonly Dictionary<uint, LoggedDatabase> live = [];
    readonly Dictionary<uint, string> names = [];
    readonly Dictionary<uint, (long Pages, long Bytes, long Size)> group = [];

    /// <summary>Every commit, in order.</summary>
    public List<LoggedCommit> Commits { get; } = [];

    /// <summary>The databases there are.</summary>
    public IEnumerable<LoggedDatabase> Databases => live.Values.OrderBy(d => d.Name, StringComparer.Ordinal);

    public DateTimeOffset? LastTime { get; private set; }

    public long Records { get; private set; }

    /// <summary>Starts (again) from the databases that hints list.</summary>
    public void Start(Hints? hints)
    {
        live.Clear();
        names.Clear();
        group.Clear();
        Commits.Clear();
        Records = 0;
        foreach (var database in hints?.Databases ?? []) Name(database.Id, database.Name);
    }

    public void Name(uint id, string name)
    {
        names[id] = name;
        live[id] = live.TryGetValue(id, out var known) ? known with { Name = name } : new LoggedDatabase(id, name);
    }

    public string NameOf(uint id) => names.GetValueOrDefault(id, $"#{id}");

    public void Take(in Record record)
    {
        Records++;
        LastTime = Text.FromMs(record.UnixTimeMs);
        switch (record.Kind)
        {
            case RecordKind.DatabaseCreated or RecordKind.DatabaseRenamed:
                var (id, name) = DatabaseRecords.ReadNamed(record.Body);
                Name(id, name);
                break;
            case RecordKind.DatabaseDeleted:
                live.Remove(DatabaseRecords.ReadId(record.Body));
                break;
            case RecordKind.PageCommit:
                Add(PageCommit.Read(record), record);
                break;
        }
        if (record.Continues || group.Count == 0) return;
        Commits.Add(new LoggedCommit(record.Lsn, LastTime.Value,
            [.. group.Select(g => new CommittedDatabase(g.Key, NameOf(g.Key), g.Value.Pages, g.Value.Bytes, g.Value.Size))]));
        group.Clear();
    }

    void Add(in PageCommit part, in Record record)
    {
        var (pages, bytes, _) = group.GetValueOrDefault(part.Database);
        group[part.Database] = (pages + part.Count, bytes + record.Body.Length, part.SizeBytes);
        if (!part.IsLastPart || !live.TryGetValue(part.Database, out var database)) return;
        database.Lsn = record.Lsn;
        database.Time = Text.FromMs(record.UnixTimeMs);
        database.SizeBytes = part.SizeBytes;
        database.PageSize = part.PageSize;
        database.Checksum = part.Checksum.ToString("x16");
    }
}
