using System.IO.Enumeration;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes;

/// <summary>
/// The databases of a row tail, each pinned as the last commit left it. A commit is compared with that version, and
/// then takes its place.
/// </summary>
internal sealed class TailedDatabases(PastStore store, Predicate<string> isWanted, string tables) : IDisposable
{
    readonly Dictionary<uint, TailedDatabase> known = [];
    long number;

    /// <summary>Pins what is there.</summary>
    public void Begin()
    {
        foreach (var name in store.Databases)
            if (isWanted(name)) Pin(name);
    }

    TailedDatabase? Pin(string name)
    {
        if (store.Pin(name) is not { } version) return null;
        var database = new TailedDatabase(name, version);
        if (known.Remove(version.DatabaseId, out var earlier)) earlier.Dispose();
        known.Add(version.DatabaseId, database);
        return database;
    }

    /// <summary>All rows that are there.</summary>
    public IEnumerable<RowEvent> Snapshot()
    {
        number = 0;
        foreach (var database in known.Values.OrderBy(d => d.Name, StringComparer.Ordinal))
        {
            foreach (var table in database.Rows.Schema.Tables)
            {
                if (!IsWantedTable(table.Name)) continue;
                var cursor = database.Rows.Read(table);
                while (cursor.Read())
                    yield return Event(RowEventKind.Read, database.Name) with
                    {
                        Table = table.Name,
                        KeyKind = table.KeyKind,
                        After = cursor.ToRow()
                    };
            }
        }
    }

    bool IsWantedTable(string name) =>
        !name.StartsWith("sqlite_", StringComparison.OrdinalIgnoreCase)
            && FileSystemName.MatchesSimpleExpression(tables, name, ignoreCase: true);

    RowEvent Event(RowEventKind kind, string database)
        => new() { Lsn = store.Lsn, Number = ++number, Time = store.Time, Kind = kind, Database = database };

    /// <summary>What a commit did, in the order of its databases.</summary>
    public IEnumerable<RowEvent> Changes(IReadOnlyList<TailedCommit> commits)
    {
        number = 0;
        var compared = new HashSet<uint>();
        foreach (var commit in commits)
        {
            if (commit.Kind is TailedKind.Created or TailedKind.Renamed or TailedKind.Deleted)
            {
                if (OfDatabase(commit) is { } told) yield return told;
                continue;
            }
            if (!isWanted(commit.Database) || !compared.Add(commit.DatabaseId)) continue;
            foreach (var change in Compared(commit)) yield return change;
        }
    }

    RowEvent? OfDatabase(TailedCommit commit)
    {
        var isGone = commit.Kind == TailedKind.Deleted || DeletedName.Is(commit.Database);
        var name = commit.EarlierName ?? commit.Database;
        // Removed at its path, and kept for a while under another name.
        if (isGone)
        {
            if (known.Remove(commit.DatabaseId, out var gone)) gone.Dispose();
            return isWanted(name) ? Event(RowEventKind.DatabaseDeleted, name) : null;
        }
        if (!isWanted(commit.Database)) return null;
        if (commit.Kind == TailedKind.Created) return Event(RowEventKind.DatabaseCreated, commit.Database);
        if (known.TryGetValue(commit.DatabaseId, out var renamed)) renamed.Name = commit.Database;
        else Pin(commit.Database);
        return Event(RowEventKind.DatabaseRenamed, commit.Database) with { EarlierName = commit.EarlierName };
    }

    IEnumerable<RowEvent> Compared(TailedCommit commit)
    {
        if (store.Pin(commit.Database) is not { } version) yield break;
        var id = version.DatabaseId;
        var written = store.TakeChanges(id);
        known.TryGetValue(id, out var before);
        var after = new TailedDatabase(commit.Database, version);
        // A failure, or a reader who stops here, leaves the later version to be let go with the others.
        using var earlier = before ?? new TailedDatabase(commit.Database, null);
        known[id] = after;
        var difference = after.ComparedWith(earlier, written);
        foreach (var change in difference.SchemaChanges)
        {
            var entry = (change.After ?? change.Before)!;
            if (entry.Sql is null || !IsWantedTable(entry.TableName)) continue;
            yield return Event(RowEventKind.Schema, commit.Database) with { Table = entry.Name, SchemaChange = change };
        }
        foreach (var table in difference.TouchedTables())
        {
            if (!IsWantedTable((table.After ?? table.Before!).Name)) continue;
            foreach (var change in table.Changes()) yield return Of(commit.Database, table, change);
        }
    }

    RowEvent Of(string database, TableDifference table, RowChange change) => Event(change.Kind switch
    {
        ChangeKind.Insert => RowEventKind.Insert,
        ChangeKind.Delete => RowEventKind.Delete,
        _ => RowEventKind.Update,
    }, database) with
    {
        Table = (table.After ?? table.Before!).Name,
        KeyKind = table.KeyKind,
        Before = change.Before,
        After = change.After,
        IsKeyUpdate = change.IsKeyUpdate,
    };

    public void Dispose()
    {
        foreach (var database in known.Values) database.Dispose();
        known.Clear();
    }
}
