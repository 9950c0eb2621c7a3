namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// Finds which table of one version is which of the other, and what happened to the rest of the schema.
/// </summary>
internal sealed class TablePairs
{
    // From the new name to the old one.
    readonly Dictionary<string, string> renamed = new(StringComparer.OrdinalIgnoreCase);
    readonly HashSet<string> replaced = new(StringComparer.OrdinalIgnoreCase);
    readonly DatabaseSchema before, after;

    public TablePairs(DatabaseSchema before, DatabaseSchema after)
    {
        (this.before, this.after) = (before, after);
        if (ReferenceEquals(before, after)) return;
        foreach (var table in after.Tables)
        {
            if (before.TryGetTable(table.Name, out var same))
            {
                if (!new ColumnMap(same, table).SameKey()) replaced.Add(table.Name);
            }
            else if (OldName(table) is { } old)
            {
                renamed[table.Name] = old.Name;
            }
        }
    }

    /// <summary>
    /// Each table with what it was: rows of a table that is gone, or is another one of the same name, come before.
    /// </summary>
    public IEnumerable<(Table? Before, Table? After)> Tables()
    {
        if (ReferenceEquals(before, after))
        {
            foreach (var table in after.Tables) yield return (table, table);
            yield break;
        }
        var kept = renamed.Values.ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var table in before.Tables)
            if (replaced.Contains(table.Name) || (!kept.Contains(table.Name) && !after.TryGetTable(table.Name, out _)))
                yield return (table, null);
        foreach (var table in after.Tables)
        {
            var name = renamed.GetValueOrDefault(table.Name, table.Name);
            yield return (replaced.Contains(table.Name) || !before.TryGetTable(name, out var was) ? null : was, table);
        }
    }

    public List<SchemaChange> Changes()
    {
        if (ReferenceEquals(before, after)) return [];
        var changes = new List<SchemaChange>();
        var left = before.Entries.GroupBy(e => (e.Kind, e.Name.ToUpperInvariant()))
            .ToDictionary(g => g.Key, g => g.First());
        foreach (var entry in after.Entries)
        {
            var oldName = entry.Kind == SchemaKind.Table
                ? renamed.GetValueOrDefault(entry.Name, entry.Name)
                : entry.Name;
            if (!left.Remove((entry.Kind, oldName.ToUpperInvariant()), out var was))
                changes.Add(new SchemaChange(SchemaChangeKind.Created, null, entry));
            else if (entry.Kind == SchemaKind.Table && replaced.Contains(entry.Name))
            {
                changes.Add(new SchemaChange(SchemaChangeKind.Dropped, was, null));
                changes.Add(new SchemaChange(SchemaChangeKind.Created, null, entry));
            }
            else if (was.Name != entry.Name) changes.Add(new SchemaChange(SchemaChangeKind.Renamed, was, entry));
            else if (was.Sql != entry.Sql) changes.Add(new SchemaChange(SchemaChangeKind.Altered, was, entry));
        }
        changes.InsertRange(0, left.Values.Select(e => new SchemaChange(SchemaChangeKind.Dropped, e, null)));
        return changes;
    }

    /// <summary>A table of another name that is gone, and whose tree this one has.</summary>
    Table? OldName(Table table)
    {
        foreach (var old in before.Tables)
            if (old.Root == table.Root && !after.TryGetTable(old.Name, out _) && new ColumnMap(old, table).SameKey())
                return old;
        return null;
    }
}
