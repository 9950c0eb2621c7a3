using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Cli;

/// <summary>A difference of two moments as lines: for people, as counts, as JSON, or as SQL.</summary>
internal sealed class DifferenceLines(Output to, MomentDifference moments, Predicate<string> isWanted,
    Predicate<RowChange>? only)
{
    internal sealed record Counts(string Table, long Inserted, long Deleted, long Updated, string? Note);

    internal sealed record CountsReport(ulong FromLsn, DateTimeOffset FromTime, ulong ToLsn, DateTimeOffset ToTime,
        IReadOnlyList<string> Schema, IReadOnlyList<Counts> Tables);

    /// <summary>Whether rows have an order in which they are wanted: nothing is said of SQLite's own tables.</summary>
    IEnumerable<TableDifference> Tables
        => moments.Difference.Tables.Where(t => !NameOf(t).StartsWith("sqlite_", StringComparison.OrdinalIgnoreCase)
            && isWanted(NameOf(t)));

    IEnumerable<SchemaChange> SchemaChanges
        => moments.Difference.SchemaChanges.Where(c => isWanted((c.After ?? c.Before)!.TableName));

    static string NameOf(TableDifference table) => (table.After ?? table.Before!).Name;

    IEnumerable<RowChange> ChangesOf(TableDifference table) => only is null
        ? table.Changes()
        : table.Changes().Where(c => only(c));

    /// <summary>The statements, for `sqlite3`; nothing but them.</summary>
    public void WritePatch(VersionDifference difference)
    {
        using var output = to.OpenRaw();
        try
        {
            SqlPatch.Write(difference, output, only);
        }
        catch (NotSupportedException e)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                e.Message + " --table says it of some tables' rows alone.", e);
        }
    }

    /// <summary>One line a change.</summary>
    public void Write()
    {
        if (to.IsJson)
        {
            WriteJson();
            return;
        }
        foreach (var change in SchemaChanges) to.Line(Said(change));
        var any = SchemaChanges.Any();
        foreach (var table in Tables)
        {
            var isNoted = table.KeyNote is null;
            foreach (var change in ChangesOf(table))
            {
                if (!isNoted) to.Note($"{NameOf(table)}: {table.KeyNote}");
                (isNoted, any) = (true, true);
                to.Line(Said(table, change));
            }
        }
        if (!any)
            to.Note($"Nothing changed from LSN {moments.From.Lsn} ({Text.Time(moments.From.Time)}) to LSN "
                + $"{moments.To.Lsn} ({Text.Time(moments.To.Time)}).");
    }

    void WriteJson()
    {
        using var output = to.OpenRawBytes();
        var line = new ArrayBufferWriter<byte>();
        void End()
        {
            line.Write("\n"u8);
            output.Write(line.WrittenSpan);
            line.ResetWrittenCount();
        }
        foreach (var change in SchemaChanges)
        {
            using (var json = new Utf8JsonWriter(line, ValueJson.Options))
            {
                json.WriteStartObject();
                ChangeJson.WriteMembers(json, change);
                json.WriteEndObject();
            }
            End();
        }
        foreach (var table in Tables)
            foreach (var change in ChangesOf(table))
            {
                using (var json = new Utf8JsonWriter(line, ValueJson.Options))
                {
                    json.WriteStartObject();
                    ChangeJson.WriteMembers(json, table, change);
                    json.WriteEndObject();
                }
                End();
            }
    }

    /// <summary>How many of each table; those without a change are left out.</summary>
    public List<Counts> TableCounts() => [.. Tables.Select(Count).Where(c => c.Inserted + c.Deleted + c.Updated > 0)];

    /// <summary>What changed in the schema, a line each.</summary>
    public IReadOnlyList<string> Schema => [.. SchemaChanges.Select(Said)];

    /// <summary>How many of each table.</summary>
    public void WriteCounts()
    {
        var report = new CountsReport(moments.From.Lsn, moments.From.Time, moments.To.Lsn, moments.To.Time, Schema,
            TableCounts());
        to.Result(report, Results.Json.DifferenceCounts, r =>
        {
            to.Line($"From LSN {r.FromLsn} ({Text.Time(r.FromTime)}) to LSN {r.ToLsn} ({Text.Time(r.ToTime)})");
            foreach (var change in r.Schema) to.Line(change);
            if (r.Tables.Count > 0) Show(to, r.Tables);
        });
    }

    /// <summary>Counts as a table.</summary>
    public static void Show(Output to, IReadOnlyList<Counts> counts)
    {
        to.Table(["TABLE", "INSERTED>", "DELETED>", "UPDATED>"], counts.Select(c => new[]
        {
            c.Table, c.Inserted.ToString(CultureInfo.InvariantCulture),
                c.Deleted.ToString(CultureInfo.InvariantCulture), c.Updated.ToString(CultureInfo.InvariantCulture),
        }));
        foreach (var table in counts.Where(t => t.Note is not null)) to.Note($"{table.Table}: {table.Note}");
    }

    Counts Count(TableDifference table)
    {
        long inserted = 0, deleted = 0, updated = 0;
        foreach (var change in ChangesOf(table))
        {
            if (change.Kind == ChangeKind.Insert) inserted++;
            else if (change.Kind == ChangeKind.Delete) deleted++;
            else updated++;
        }
        return new Counts(NameOf(table), inserted, deleted, updated, table.KeyNote);
    }

    static string Said(SchemaChange change)
    {
        var entry = (change.After ?? change.Before)!;
        var kind = entry.Kind == SchemaKind.VirtualTable ? "virtual table" : entry.Kind.ToString().ToLowerInvariant();
        var what = $"{kind} {entry.Name}";
        return change.Kind switch
        {
            SchemaChangeKind.Created => $"+ {what}",
            SchemaChangeKind.Dropped => $"- {what}",
            SchemaChangeKind.Renamed => $"~ {what}, before: {change.Before!.Name}",
            _ => $"~ {what}: {change.Before!.Sql} -> {change.After!.Sql}",
        };
    }

    /// <summary>Of an update only what changed, beside the key.</summary>
    static string Said(TableDifference table, RowChange change)
    {
        var text = new StringBuilder();
        var row = (change.After ?? change.Before)!;
        text.Append(change.Kind switch { ChangeKind.Insert => "+ ", ChangeKind.Delete => "- ", _ => "~ " })
            .Append(NameOf(table)).Append('(');
        var columns = row.Table.Columns;
        var keys = table.KeyKind == KeyKind.PrimaryKey ? row.Table.KeyColumns : [];
        if (keys.Count == 0 && row.Table.RowIdColumn < 0)
            text.Append(CultureInfo.InvariantCulture, $"rowid={row.RowId}, ");
        var any = false;
        for (var i = 0; i < columns.Count; i++)
        {
            if (!columns[i].IsStored) continue;
            var before = change is { Before: { } was, After: not null } ? was.Table.IndexOf(columns[i].Name) : -1;
            var isChanged = before >= 0 && !change.Before![before].Same(row[i]);
            if (change.Kind == ChangeKind.Update && !isChanged && !keys.Contains(i)) continue;
            if (any) text.Append(", ");
            any = true;
            text.Append(columns[i].Name).Append('=');
            if (isChanged) text.Append(ValueText.Sql(change.Before![before])).Append(" -> ");
            text.Append(ValueText.Sql(row[i]));
        }
        return text.Append(')').Append(change.IsKeyUpdate ? " of a row that got another key" : "").ToString();
    }
}
