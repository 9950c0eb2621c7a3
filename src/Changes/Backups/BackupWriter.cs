using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Backups;

/// <summary>
/// Writes a database, or what changed in it, as JSON lines: a header, a line a row, and a last line with counts and the
/// SHA-256 of everything before it. Memory is bounded by the longest row.
/// </summary>
internal sealed class BackupWriter(Stream output, Predicate<string> isWanted)
{
    const int HandBytes = 256 << 10;

    readonly ArrayBufferWriter<byte> buffer = new(HandBytes * 2);
    readonly IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly Utf8JsonWriter json = new(Stream.Null, ValueJson.Options);
    readonly List<BackupTable> counts = [];
    long lines;

    /// <summary>All rows of all tables that are wanted.</summary>
    public BackupEnd WriteFull(BackupHeader header, RowReader rows)
    {
        var tables = Wanted(rows.Schema.Tables).ToList();
        WriteHeader(header with
        {
            Kind = BackupHeader.Full,
            Encoding = NameOf(rows.Schema.Encoding),
            Schema = Entries(rows.Schema),
            Tables = [.. tables.Select(t => new BackupTable(t.Name, rows.Count(t)))],
        });
        foreach (var table in tables)
        {
            counts.Add(new BackupTable(table.Name, WriteWhole(rows, table, null)));
        }
        return End();
    }

    /// <summary>What leads from one version to the other.</summary>
    public BackupEnd WriteIncrement(BackupHeader header, VersionDifference difference, RowReader after)
    {
        var tables = difference.Tables.Where(t => t.After is not null).ToDictionary(t => t.After!);
        // A table that was altered is told whole: what its rows became depends on how.
        var whole = difference.SchemaChanges.Where(c => c.Kind is SchemaChangeKind.Altered or SchemaChangeKind.Renamed
            && c.After!.Kind == SchemaKind.Table)
            .Select(c => c.After!.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        // So is one whose rows VACUUM has numbered anew: later increments name them by those numbers.
        var renumbered = tables.Where(t => t.Value.IsRenumbered && IsWanted(t.Key.Name)).Select(t => t.Key.Name)
            .Except(whole).ToList();
        whole.UnionWith(renumbered);
        WriteHeader(header with
        {
            Kind = BackupHeader.Incremental,
            Encoding = NameOf(after.Schema.Encoding),
            Schema = Entries(after.Schema)
        });
        foreach (var change in difference.SchemaChanges)
            if (change.Before is { Sql: not null } gone && IsWanted(gone.TableName)) WriteDrop(gone);
        foreach (var entry in after.Schema.Entries)
            if (entry.Kind == SchemaKind.Table && renumbered.Contains(entry.Name)) WriteDrop(entry);
        foreach (var table in Wanted(tables.Keys))
        {
            var name = table.Name;
            var count = whole.Contains(name) ? WriteWhole(after, table, "insert") : WriteChanges(tables[table]);
            if (count > 0) counts.Add(new BackupTable(name, count));
        }
        return End();
    }

    long WriteWhole(RowReader rows, Table table, string? op)
    {
        var count = 0L;
        var lines = new TableLines(table);
        var cursor = rows.Read(table);
        for (; cursor.Read(); count++)
        {
            BeginRow(lines, op);
            if (lines.HasHiddenRowId) json.WriteNumber("rowid"u8, cursor.RowId!.Value);
            json.WriteStartObject("row"u8);
            foreach (var (column, name) in lines.Columns)
            {
                json.WritePropertyName(name);
                ValueJson.Write(json, cursor[column]);
            }
            EndRow();
        }
        return count;
    }

    long WriteChanges(TableDifference table)
    {
        var count = 0L;
        var lines = new TableLines(table.After!);
        foreach (var change in table.Changes())
        {
            count++;
            if (change.Kind == ChangeKind.Delete) WriteDelete(table, change.Before!);
            else WriteRow(lines, change.After!, change.Kind == ChangeKind.Insert ? "insert" : "update");
        }
        return count;
    }

    const string Sequences = "sqlite_sequence";

    bool IsWanted(string table) => isWanted(table) || table == Sequences;

    /// <summary>
    /// Of SQLite's own tables only the greatest keys that AUTOINCREMENT gave, and last, since inserting moves them.
    /// Statistics are made anew.
    /// </summary>
    IEnumerable<Table> Wanted(IEnumerable<Table> tables) =>
        tables.Where(t => (!t.IsInternal || t.Name == Sequences) && IsWanted(t.Name)).OrderBy(t => t.Name == Sequences);

    /// <summary>What all lines of a table have in common.</summary>
    sealed class TableLines(Table table)
    {
        public JsonEncodedText Name { get; } = Encode(table.Name);

        /// <summary>Whether a row has a rowid that no column shows, and that is to come back.</summary>
        public bool HasHiddenRowId { get; } =
            !table.IsWithoutRowId && table.RowIdColumn < 0 && table.Name != Sequences;

        /// <summary>The columns that are told of.</summary>
        public (int Column, JsonEncodedText Name)[] Columns { get; } =
            [.. Enumerable.Range(0, table.Columns.Count).Where(i => !table.Columns[i].IsGenerated)
                .Select(i => (i, Encode(table.Columns[i].Name)))];

        static JsonEncodedText Encode(string text) => JsonEncodedText.Encode(text, ValueJson.Options.Encoder);
    }

    static string NameOf(TextEncoding encoding) => encoding switch
    {
        TextEncoding.Utf16LittleEndian => "UTF-16le",
        TextEncoding.Utf16BigEndian => "UTF-16be",
        _ => "UTF-8",
    };

    static List<BackupEntry> Entries(DatabaseSchema schema)
        => [.. schema.Entries.Where(e => e.Sql is not null
            && !e.Name.StartsWith("sqlite_", StringComparison.OrdinalIgnoreCase))
        .Select(e => new BackupEntry(TypeOf(e), e.Name, e.TableName, e.Sql))];

    static string TypeOf(SchemaEntry entry) => entry.Kind == SchemaKind.VirtualTable
        ? "table"
        : entry.Kind.ToString().ToLowerInvariant();

    void WriteHeader(BackupHeader header)
    {
        json.Reset(buffer);
        JsonSerializer.Serialize(json, header, BackupJson.Plain.BackupHeader);
        EndLine();
    }

    void WriteDrop(SchemaEntry entry)
    {
        json.Reset(buffer);
        json.WriteStartObject();
        json.WriteString("drop", TypeOf(entry));
        json.WriteString("name", entry.Name);
        json.WriteEndObject();
        EndLine();
    }

    void BeginRow(TableLines lines, string? op)
    {
        json.Reset(buffer);
        json.WriteStartObject();
        json.WriteString("table"u8, lines.Name);
        if (op is not null) json.WriteString("op"u8, op);
    }

    void EndRow()
    {
        json.WriteEndObject();
        json.WriteEndObject();
        EndLine();
    }

    void WriteRow(TableLines lines, Row row, string op)
    {
        BeginRow(lines, op);
        if (lines.HasHiddenRowId) json.WriteNumber("rowid"u8, row.RowId!.Value);
        json.WriteStartObject("row"u8);
        foreach (var (column, name) in lines.Columns)
        {
            json.WritePropertyName(name);
            ValueJson.Write(json, row[column]);
        }
        EndRow();
    }

    /// <summary>Of a row with NULL in its key only the rowid tells which it is.</summary>
    void WriteDelete(TableDifference difference, Row row)
    {
        BeginRow(new TableLines(row.Table), "delete");
        var byRowId = row.RowId is not null && row.Table.KeyColumns.Any(c => row[c].IsNull);
        json.WritePropertyName("key");
        if (row.Table.Name == Sequences)
        {
            json.WriteStartObject();
            json.WritePropertyName("name");
            ValueJson.Write(json, row[0]);
            json.WriteEndObject();
        }
        else ValueJson.WriteKey(json, row, byRowId ? KeyKind.RowId : difference.KeyKind);
        json.WriteEndObject();
        EndLine();
    }

    void EndLine()
    {
        json.Flush();
        buffer.Write("\n"u8);
        lines++;
        if (buffer.WrittenCount >= HandBytes) Hand();
    }

    void Hand()
    {
        sha.AppendData(buffer.WrittenSpan);
        output.Write(buffer.WrittenSpan);
        buffer.ResetWrittenCount();
    }

    BackupEnd End()
    {
        Hand();
        var end = new BackupEnd(true, lines - 1, counts, Convert.ToHexStringLower(sha.GetHashAndReset()));
        JsonSerializer.Serialize(output, end, BackupJson.Plain.BackupEnd);
        output.Write("\n"u8);
        output.Flush();
        json.Dispose();
        sha.Dispose();
        return end;
    }
}
