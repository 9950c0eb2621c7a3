using RecoveryVfs.Rows.Patches;
using RecoveryVfs.Rows.Sql;

namespace RecoveryVfs.Rows;

/// <summary>
/// Writes a difference as SQL: statements that make the earlier version the later one. The patch that takes it back is
/// that of the difference the other way round, from the later version to the earlier.
/// <para>
/// It is one transaction. Foreign keys are looked at when it ends, and nothing in it makes them act: rows that refer
/// are changed and deleted before those they refer to, and inserted after them. Triggers of the tables that it touches
/// are taken away meanwhile, since what they did is in the difference.
/// </para>
/// <para>
/// Where rows that others refer to have exchanged values that are unique beside their key, the patch fails when it is
/// applied, and changes nothing: update by update, SQLite accepts no such exchange.
/// </para>
/// </summary>
public sealed class SqlPatch
{
    readonly VersionDifference difference;
    readonly TextWriter output;
    readonly Predicate<RowChange>? only;
    readonly List<TablePatch> tables;

    SqlPatch(VersionDifference difference, TextWriter output, Predicate<RowChange>? only)
    {
        (this.difference, this.output, this.only) = (difference, output, only);
        var (referredTo, withUniqueIndex) = (ReferredTo(), WithUniqueIndex());
        tables = PatchOrder.ReferringFirst(difference.Tables.Where(t => !(t.After ?? t.Before!).IsInternal))
            .ConvertAll(t
            => new TablePatch(t, referredTo.Contains(Name(t)), withUniqueIndex.Contains(Name(t)), output, only));
    }

    /// <summary>
    /// Writes the patch of <paramref name="difference"/>; of its rows, only those that <paramref name="only"/> lets
    /// through, and then nothing of the schema. Rows are read as they are written, twice.
    /// </summary>
    /// <exception cref="NotSupportedException">
    /// A table was altered or renamed, or a virtual table is new or gone. Nothing is written then.
    /// </exception>
    public static void Write(VersionDifference difference, TextWriter output, Predicate<RowChange>? only = null)
    {
        var unsayable =
            difference.SchemaChanges.FirstOrDefault(c => (c.After ?? c.Before)!.Kind == SchemaKind.VirtualTable ||
            (c.Kind is SchemaChangeKind.Altered or SchemaChangeKind.Renamed && c.After!.Kind == SchemaKind.Table));
        if (unsayable is not null && only is null)
        {
            throw new NotSupportedException(
                $"Table '{(unsayable.After ?? unsayable.Before)!.Name}' was "
                    + $"{unsayable.Kind.ToString().ToLowerInvariant()} between the versions. " +
                "A patch can say that of whole ordinary tables only, and not that one was altered or renamed. Take "
                    + "differences up to that commit, and from after it.");
        }
        new SqlPatch(difference, output, only).Write();
    }

    static string Name(TableDifference table) => (table.After ?? table.Before!).Name;

    void Write()
    {
        output.WriteLine("BEGIN;");
        output.WriteLine("PRAGMA defer_foreign_keys=ON;");
        var triggers = TouchedTriggers();
        foreach (var trigger in triggers) output.WriteLine($"DROP TRIGGER {SqlText.Name(trigger)};");
        if (only is null) Drop(SchemaKind.View, SchemaKind.Index);
        foreach (var table in tables) table.WriteUpdatesAndDeletes();
        foreach (var table in tables)
            if (only is null && table.Of.After is null)
                output.WriteLine($"DROP TABLE {SqlText.Name(table.Of.Before!.Name)};");
        if (only is null) Create(SchemaKind.Table);
        foreach (var table in Enumerable.Reverse(tables)) table.WriteInserts();
        if (only is null)
        {
            WriteSequences();
            Create(SchemaKind.Index, SchemaKind.View);
        }
        foreach (var entry in TriggersToMake(triggers))
            output.WriteLine(SchemaStatement.Of(entry.Sql!) + ";");
        output.WriteLine("COMMIT;");
    }

    HashSet<string> ReferredTo() => Both(s => s.Tables.SelectMany(t => t.References));

    HashSet<string> WithUniqueIndex() => Both(s => s.Entries
        .Where(e => e.Kind == SchemaKind.Index && e.Sql?.Contains("UNIQUE", StringComparison.OrdinalIgnoreCase) == true)
        .Select(e => e.TableName));

    HashSet<string> Both(Func<DatabaseSchema, IEnumerable<string>> names) =>
        names(difference.Before.Schema).Concat(names(difference.After.Schema))
            .ToHashSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>Those that are another one after, and those of tables whose rows change.</summary>
    HashSet<string> TouchedTriggers()
    {
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var entry in difference.Before.Schema.Entries)
        {
            if (entry.Kind != SchemaKind.Trigger) continue;
            var touched =
                tables.Exists(t => t.Of.Before?.Name.Equals(entry.TableName, StringComparison.OrdinalIgnoreCase) == true
                && (t.Of.After is null || t.HasChanges()));
            if (touched || (only is null && Changed(SchemaKind.Trigger).Any(c => c.Before == entry)))
                names.Add(entry.Name);
        }
        return names;
    }

    IEnumerable<SchemaEntry> TriggersToMake(HashSet<string> dropped)
    {
        var made = only is null ? Changed(SchemaKind.Trigger).Select(c => c.After?.Name)
            .ToHashSet(StringComparer.OrdinalIgnoreCase) : [];
        return (only is null ? difference.After : difference.Before).Schema.Entries
            .Where(e => e.Kind == SchemaKind.Trigger && (dropped.Contains(e.Name) || made.Contains(e.Name)));
    }

    IEnumerable<SchemaChange> Changed(params SchemaKind[] kinds) =>
        difference.SchemaChanges.Where(c => kinds.Contains((c.After ?? c.Before)!.Kind));

    void Drop(params SchemaKind[] kinds)
    {
        foreach (var change in Changed(kinds))
            if (change.Before is { Sql: not null } gone)
                output.WriteLine($"DROP {gone.Kind.ToString().ToUpperInvariant()} {SqlText.Name(gone.Name)};");
    }

    void Create(params SchemaKind[] kinds)
    {
        foreach (var change in Changed(kinds))
        {
            if (change.After is not { Sql: not null } made
                || made.Name.StartsWith("sqlite_", StringComparison.OrdinalIgnoreCase))
                continue;
            output.WriteLine(SchemaStatement.Of(made.Sql) + ";");
        }
    }

    /// <summary>The greatest keys that AUTOINCREMENT gave come last: inserting moves them.</summary>
    void WriteSequences()
    {
        var sequences = difference.Tables.FirstOrDefault(t => t.After?.Name == "sqlite_sequence");
        if (sequences is null) return;
        foreach (var change in sequences.Changes())
        {
            var text = new System.Text.StringBuilder("DELETE FROM sqlite_sequence WHERE name=");
            SqlText.Append(text, (change.Before ?? change.After)![0]);
            if (change.After is not null)
            {
                text.Append(";\nINSERT INTO sqlite_sequence(name, seq) VALUES(");
                SqlText.Append(text, change.After[0]);
                text.Append(',');
                SqlText.Append(text, change.After[1]);
                text.Append(')');
            }
            output.WriteLine(text.Append(';').ToString());
        }
    }
}
