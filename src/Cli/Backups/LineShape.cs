using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using System.Text.Unicode;
using RecoveryVfs.Changes.Lines;
using SQLitePCL;

namespace RecoveryVfs.Cli.Backups;

/// <summary>
/// The form of a line that was written just now, and its statement: a line of the same form is bound as it is read,
/// without a text being made of any of it. Lines of another form, and whatever is odd in one, are left to
/// <see cref="RowWriter"/>.
/// </summary>
sealed class LineShape
{
    readonly byte[][] names;
    readonly byte[] table, op;
    readonly sqlite3_stmt statement;
    byte[] unescaped = [];

    LineShape(byte[] table, byte[] op, byte[][] names, sqlite3_stmt statement) =>
        (this.table, this.op, this.names, this.statement) = (table, op, names, statement);

    /// <summary>The form of a line that makes a statement's parameters, in their order.</summary>
    public static LineShape Of(ReadOnlySpan<byte> line, sqlite3_stmt statement)
    {
        byte[] table = [], op = [];
        var names = new List<byte[]>();
        var json = new Utf8JsonReader(line);
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var isObject = json.ValueTextEquals("row"u8) || json.ValueTextEquals("key"u8);
            var (isTable, isOp, isRowId) = (json.ValueTextEquals("table"u8), json.ValueTextEquals("op"u8),
                json.ValueTextEquals("rowid"u8));
            json.Read();
            if (isTable) table = Text(json);
            else if (isOp) op = Text(json);
            else if (isRowId) names.Add("rowid"u8.ToArray());
            else if (isObject)
            {
                while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
                {
                    names.Add(Text(json));
                    json.Read();
                    json.Skip();
                }
            }
            else json.Skip();
        }
        return new LineShape(table, op, [.. names], statement);
    }

    static byte[] Text(in Utf8JsonReader json)
    {
        var text = new byte[json.ValueSpan.Length];
        return text[..json.CopyString(text)];
    }

    /// <summary>Writes the row of a line; false, with nothing done, when the line has another form.</summary>
    public bool TryRun(Connection connection, ReadOnlySpan<byte> line)
    {
        if (!TryBind(line)) return false;
        connection.Finish(statement);
        return true;
    }

    bool TryBind(ReadOnlySpan<byte> line)
    {
        var json = new Utf8JsonReader(line);
        if (!json.Read() || !Next(ref json, "table"u8) || !json.ValueTextEquals(table)) return false;
        json.Read();
        if (op.Length > 0)
        {
            if (!json.ValueTextEquals("op"u8) || !json.Read() || !json.ValueTextEquals(op) || !json.Read())
                return false;
        }
        var at = 0;
        if (json.TokenType == JsonTokenType.PropertyName && json.ValueTextEquals("rowid"u8))
        {
            if (!Is(at, "rowid"u8) || !json.Read() || !TryBind(ref json, ++at) || !json.Read()) return false;
        }
        if (json.TokenType != JsonTokenType.PropertyName
            || !(json.ValueTextEquals("row"u8) || json.ValueTextEquals("key"u8)) || !json.Read())
            return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            if (at == names.Length || !json.ValueTextEquals(names[at]) || !json.Read() || !TryBind(ref json, ++at))
                return false;
        return at == names.Length && json.Read() && json.TokenType == JsonTokenType.EndObject;
    }

    bool Is(int at, ReadOnlySpan<byte> name) => at < names.Length && name.SequenceEqual(names[at]);

    static bool Next(ref Utf8JsonReader json, ReadOnlySpan<byte> name) =>
        json.Read() && json.TokenType == JsonTokenType.PropertyName && json.ValueTextEquals(name) && json.Read();

    bool TryBind(ref Utf8JsonReader json, int parameter)
    {
        switch (json.TokenType)
        {
            case JsonTokenType.Null: return raw.sqlite3_bind_null(statement, parameter) == raw.SQLITE_OK;
            case JsonTokenType.String: return TryBindText(ref json, parameter);
            case JsonTokenType.Number:
                if (json.ValueSpan.IndexOfAny((byte)'.', (byte)'E', (byte)'e') < 0 && json.TryGetInt64(out var integer))
                    return raw.sqlite3_bind_int64(statement, parameter, integer) == raw.SQLITE_OK;
                return Utf8Parser.TryParse(json.ValueSpan, out double real, out _)
                    && raw.sqlite3_bind_double(statement, parameter, real) == raw.SQLITE_OK;
            case JsonTokenType.StartObject:
                if (!json.Read() || !json.ValueTextEquals(ValueJson.Blob) || !json.Read()
                    || !json.TryGetBytesFromBase64(out var blob) || !json.Read()
                    || json.TokenType != JsonTokenType.EndObject) return false;
                return (blob.Length == 0 ? raw.sqlite3_bind_zeroblob(statement, parameter, 0)
                    : raw.sqlite3_bind_blob(statement, parameter, blob)) == raw.SQLITE_OK;
            default: return false;
        }
    }

    bool TryBindText(ref Utf8JsonReader json, int parameter)
    {
        var text = json.ValueSpan;
        if (!Utf8.IsValid(text)) return false;
        if (json.ValueIsEscaped)
        {
            if (unescaped.Length < text.Length) unescaped = new byte[Math.Max(text.Length, 2 * unescaped.Length)];
            text = unescaped.AsSpan(0, json.CopyString(unescaped));
        }
        return raw.sqlite3_bind_text(statement, parameter, text) == raw.SQLITE_OK;
    }
}
