using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using SQLitePCL;

namespace RecoveryVfs.Cli.Backups;

/// <summary>
/// Writes the rows of a backup's lines into a database: a statement for each kind of line, prepared once.
/// </summary>
internal sealed class RowWriter(Connection connection) : IDisposable
{
    // Lines of a backup have as many forms as there are tables, times three.
    const int StatementsMax = 1024;

    readonly Dictionary<string, sqlite3_stmt> statements = new(StringComparer.Ordinal);
    readonly Dictionary<string, string> rowIdNames = new(StringComparer.OrdinalIgnoreCase);
    readonly StringBuilder sql = new();
    readonly List<string> columns = [];
    readonly List<object?> values = [];
    readonly HashSet<string> tables = new(StringComparer.Ordinal);
    LineShape? shape;

    /// <summary>The bytes of a text that are no text in the database's encoding.</summary>
    sealed record TextBytes(byte[] Bytes);

    /// <summary>A line: <c>{"table", "op"?, "rowid"?, "row"}</c>, or <c>{"table", "op": "delete", "key"}</c>.</summary>
    public void Take(ReadOnlySpan<byte> line)
    {
        if (shape?.TryRun(connection, line) == true) return;
        var json = new Utf8JsonReader(line);
        string? table = null, op = null;
        columns.Clear();
        values.Clear();
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var name = json.GetString();
            json.Read();
            switch (name)
            {
                case "table": table = json.GetString(); break;
                case "op": op = json.GetString(); break;
                case "rowid" or "row" or "key" when table is null: throw NoRow();
                case "rowid":
                    columns.Add(RowIdName(table!));
                    values.Add(json.GetInt64());
                    break;
                case "row" or "key": ReadValues(ref json, table!, isKey: name == "key"); break;
                default: json.Skip(); break;
            }
        }
        if (table is null || columns.Count == 0 || op is not (null or "insert" or "update" or "delete")) throw NoRow();
        ThrowIfNone(table);
        if (table == "sqlite_sequence" && op != "delete") ForgetSequence();
        var statement = Run(op == "delete" ? Delete(table) : Insert(table));
        // What follows usually has the same form.
        shape = table == "sqlite_sequence" || values.Exists(v => v is TextBytes) ? null : LineShape.Of(line, statement);
    }

    /// <summary>
    /// Rows come into tables, and nothing else: not into what SQLite keeps of its own, nor into what its modules offer
    /// under a name that no schema has.
    /// </summary>
    void ThrowIfNone(string table)
    {
        if (tables.Contains(table)) return;
        var isOne = connection.Ask("SELECT count(*) FROM main.sqlite_schema WHERE type='table' AND name="
            + $"'{table.Replace("'", "''", StringComparison.Ordinal)}' COLLATE NOCASE") != "0";
        if (!isOne || (table != "sqlite_sequence" && table.StartsWith("sqlite_", StringComparison.OrdinalIgnoreCase)))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The backup has rows of {DatabaseName.Shown(table)}, which is no table of it.");
        tables.Add(table);
    }

    /// <summary>It has no key by which a row would be replaced.</summary>
    void ForgetSequence()
    {
        var at = columns.IndexOf("\"name\"");
        var text = at >= 0 && values[at] is string name ? name : "";
        connection.Ask($"DELETE FROM sqlite_sequence WHERE name='{text.Replace("'", "''", StringComparison.Ordinal)}'");
    }

    void ReadValues(ref Utf8JsonReader json, string table, bool isKey)
    {
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var column = json.GetString()!;
            columns.Add(isKey && column == "rowid" && !HasColumn(table, "rowid") ? RowIdName(table) : Quoted(column));
            json.Read();
            values.Add(Value(ref json));
        }
    }

    static object? Value(ref Utf8JsonReader json)
    {
        switch (json.TokenType)
        {
            case JsonTokenType.Null: return null;
            case JsonTokenType.String: return json.GetString();
            case JsonTokenType.Number:
                if (json.ValueSpan.IndexOfAny((byte)'.', (byte)'E', (byte)'e') < 0 && json.TryGetInt64(out var integer))
                    return integer;
                return Utf8Parser.TryParse(json.ValueSpan, out double real, out _) ? real : throw Senseless();
            case JsonTokenType.StartObject:
                json.Read();
                var kind = json.GetString();
                json.Read();
                object value = kind switch
                {
                    ValueJson.Blob => json.GetBytesFromBase64(),
                    ValueJson.TextBytes => new TextBytes(json.GetBytesFromBase64()),
                    ValueJson.Real => json.GetString() switch
                    {
                        ValueJson.Infinity => double.PositiveInfinity,
                        ValueJson.MinusInfinity => double.NegativeInfinity,
                        _ => throw Senseless(),
                    },
                    _ => throw Senseless(),
                };
                return json.Read() && json.TokenType == JsonTokenType.EndObject ? value : throw Senseless();
            default: throw Senseless();
        }
    }

    static RecoveryException NoRow() => new(RecoveryError.Corrupt, "A line of the backup is no row.");

    static RecoveryException Senseless()
        => new(RecoveryError.Corrupt, "A line of the backup has a value that is none of SQLite's.");

    static string Quoted(string name) => '"' + name.Replace("\"", "\"\"", StringComparison.Ordinal) + '"';

    bool HasColumn(string table, string name) =>
        connection.Ask(
            $"SELECT count(*) FROM pragma_table_xinfo('{table.Replace("'", "''", StringComparison.Ordinal)}') WHERE "
                + $"name = '{name}' COLLATE NOCASE") != "0";

    /// <summary>A name of the rowid that no column has.</summary>
    string RowIdName(string table)
    {
        if (rowIdNames.TryGetValue(table, out var known)) return known;
        var name = Array.Find(["rowid", "_rowid_", "oid"], n => !HasColumn(table, n))
            ?? throw new RecoveryException(RecoveryError.Invalid,
                $"Table {table} has columns called rowid, _rowid_ and oid: its rows cannot be named.");
        return rowIdNames[table] = name;
    }

    string Insert(string table)
    {
        sql.Clear().Append("INSERT OR REPLACE INTO ").Append(Quoted(table)).Append('(').AppendJoin(',', columns)
            .Append(") VALUES(");
        for (var i = 0; i < columns.Count; i++)
            sql.Append(i > 0 ? "," : "").Append(values[i] is TextBytes ? "CAST(? AS TEXT)" : "?");
        return sql.Append(')').ToString();
    }

    string Delete(string table)
    {
        sql.Clear().Append("DELETE FROM ").Append(Quoted(table)).Append(" WHERE ");
        for (var i = 0; i < columns.Count; i++)
            sql.Append(i > 0 ? " AND " : "").Append(columns[i])
                .Append(values[i] is TextBytes ? " = CAST(? AS TEXT)" : " = ?");
        return sql.ToString();
    }

    sqlite3_stmt Run(string text)
    {
        if (!statements.TryGetValue(text, out var statement))
        {
            if (statements.Count >= StatementsMax) Forget();
            statements.Add(text, statement = connection.Prepare(text));
        }
        for (var i = 0; i < values.Count; i++)
        {
            _ = values[i] switch
            {
                null => raw.sqlite3_bind_null(statement, i + 1),
                long integer => raw.sqlite3_bind_int64(statement, i + 1, integer),
                double real => raw.sqlite3_bind_double(statement, i + 1, real),
                string said => raw.sqlite3_bind_text(statement, i + 1, said),
                TextBytes bytes => raw.sqlite3_bind_blob(statement, i + 1, bytes.Bytes),
                var blob => BindBlob(statement, i + 1, (byte[])blob),
            };
        }
        connection.Finish(statement);
        return statement;
    }

    static int BindBlob(sqlite3_stmt statement, int at, byte[] blob) =>
        blob.Length == 0 ? raw.sqlite3_bind_zeroblob(statement, at, 0) : raw.sqlite3_bind_blob(statement, at, blob);

    void Forget()
    {
        shape = null;
        foreach (var statement in statements.Values) statement.Dispose();
        statements.Clear();
    }

    public void Dispose() => Forget();
}
