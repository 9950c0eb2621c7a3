using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Backups;

/// <summary>
/// Writes a database, or what changed in it, as JSON lines: a header, a line a row, and a last line with counts and the
/// SHA-256 of everything before it. Memory is bounded by the longest row. While lines are made, those before them are
/// hashed and written by another thread.
/// </summary>
internal sealed class BackupWriter(Stream output, Predicate<string> isWanted)
{
    const int HandBytes = 256 << 10;

    readonly IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly List<BackupTable> counts = [];
    LineBuffer buffer = new(HandBytes * 2), handed = new(HandBytes * 2);
    Task writing = Task.CompletedTask;
    long lines;

    /// <summary>All rows of all tables that are wanted.</summary>
    public BackupEnd WriteFull(BackupHeader header, RowReader rows) => Settled(() => Full(header, rows));

    /// <summary>What leads from one version to the other.</summary>
    public BackupEnd WriteIncrement(BackupHeader header, VersionDifference difference, RowReader after) =>
        Settled(() => Increment(header, difference, after));

    /// <summary>Whatever happens, nobody writes any more afterwards.</summary>
    BackupEnd Settled(Func<BackupEnd> write)
    {
        try
        {
            return write();
        }
        finally
        {
            writing.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
            sha.Dispose();
            buffer.Dispose();
            handed.Dispose();
        }
    }

    BackupEnd Full(BackupHeader header, RowReader rows)
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

    BackupEnd Increment(BackupHeader header, VersionDifference difference, RowReader after)
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
            if (lines.HasHiddenRowId) WriteRowId(cursor.RowId!.Value);
            buffer.Add(BeginValues);
            foreach (var (column, name) in lines.Columns)
            {
                buffer.Add(name);
                buffer.Add(cursor[column]);
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
        /// <summary>How each begins.</summary>
        public byte[] Begin { get; } = Encoding.UTF8.GetBytes($"{{\"table\":\"{Escaped(table.Name)}\"");

        /// <summary>Whether a row has a rowid that no column shows, and that is to come back.</summary>
        public bool HasHiddenRowId { get; } =
            !table.IsWithoutRowId && table.RowIdColumn < 0 && table.Name != Sequences;

        /// <summary>The columns that are told of, and what stands before their values.</summary>
        public (int Column, byte[] Name)[] Columns { get; } =
            [.. Enumerable.Range(0, table.Columns.Count).Where(i => !table.Columns[i].IsGenerated).Select((i, n)
                => (i, Encoding.UTF8.GetBytes($"{(n > 0 ? "," : "")}\"{Escaped(table.Columns[i].Name)}\":")))];

        static JsonEncodedText Escaped(string text) => JsonEncodedText.Encode(text, ValueJson.Options.Encoder);
    }

    static ReadOnlySpan<byte> BeginValues => ",\"row\":{"u8;

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
        JsonSerializer.Serialize(buffer.Begin(), header, BackupJson.Plain.BackupHeader);
        EndLine();
    }

    void WriteDrop(SchemaEntry entry)
    {
        var json = buffer.Begin();
        json.WriteStartObject();
        json.WriteString("drop", TypeOf(entry));
        json.WriteString("name", entry.Name);
        json.WriteEndObject();
        json.Flush();
        EndLine();
    }

    void BeginRow(TableLines lines, string? op)
    {
        buffer.Add(lines.Begin);
        if (op is null) return;
        buffer.Add(",\"op\":\""u8);
        buffer.Add(Encoding.UTF8.GetBytes(op));
        buffer.Add("\""u8);
    }

    void WriteRowId(long rowId)
    {
        buffer.Add(",\"rowid\":"u8);
        buffer.Add(rowId);
    }

    void EndRow()
    {
        buffer.Add("}}"u8);
        EndLine();
    }

    void WriteRow(TableLines lines, Row row, string op)
    {
        BeginRow(lines, op);
        if (lines.HasHiddenRowId) WriteRowId(row.RowId!.Value);
        buffer.Add(BeginValues);
        foreach (var (column, name) in lines.Columns)
        {
            buffer.Add(name);
            buffer.Add(row[column]);
        }
        EndRow();
    }

    /// <summary>Of a row with NULL in its key only the rowid tells which it is.</summary>
    void WriteDelete(TableDifference difference, Row row)
    {
        BeginRow(new TableLines(row.Table), "delete");
        buffer.Add(",\"key\":"u8);
        var json = buffer.Begin();
        var byRowId = row.RowId is not null && row.Table.KeyColumns.Any(c => row[c].IsNull);
        if (row.Table.Name == Sequences)
        {
            json.WriteStartObject();
            json.WritePropertyName("name");
            ValueJson.Write(json, row[0]);
            json.WriteEndObject();
        }
        else ValueJson.WriteKey(json, row, byRowId ? KeyKind.RowId : difference.KeyKind);
        json.Flush();
        buffer.Add("}"u8);
        EndLine();
    }

    void EndLine()
    {
        buffer.Add("\n"u8);
        lines++;
        if (buffer.Count >= HandBytes) Hand();
    }

    /// <summary>Has what there is hashed and written, once what was handed before is.</summary>
    void Hand()
    {
        writing.GetAwaiter().GetResult();
        (buffer, handed) = (handed, buffer);
        buffer.Clear();
        writing = Task.Run(() =>
        {
            sha.AppendData(handed.Written);
            output.Write(handed.Written);
        });
    }

    BackupEnd End()
    {
        Hand();
        writing.GetAwaiter().GetResult();
        var end = new BackupEnd(true, lines - 1, counts, Convert.ToHexStringLower(sha.GetHashAndReset()));
        JsonSerializer.Serialize(output, end, BackupJson.Plain.BackupEnd);
        output.Write("\n"u8);
        output.Flush();
        return end;
    }
}
