using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Lines;

/// <summary>
/// Events as Debezium's connectors write them, with JsonConverter and <c>schemas.enable=false</c>: a line is a message,
/// its key, a tab, and its value. After a delete comes a tombstone, the key with nothing after the tab. So <c>kcat -P
/// -K '\t'
/// -Z</c> makes Kafka's messages of the lines. Schema changes are in the form of Debezium's schema change topic.
/// </summary>
internal sealed class DebeziumJson(string server, TimeProvider time) : IEventFormat
{
    const string Version = "1.0";

    public void Write(RowEvent told, IBufferWriter<byte> to)
    {
        if (told.Table is null || told.SchemaChange is not null)
        {
            Line(to, json => WriteSchemaKey(json, told), json => WriteSchemaValue(json, told));
            return;
        }
        Line(to, json => WriteKey(json, told), json => WriteValue(json, told));
        if (told.Kind == RowEventKind.Delete) Line(to, json => WriteKey(json, told), null);
    }

    static void Line(IBufferWriter<byte> to, Action<Utf8JsonWriter> key, Action<Utf8JsonWriter>? value)
    {
        using (var json = new Utf8JsonWriter(to, ValueJson.Options)) key(json);
        to.Write("\t"u8);
        if (value is not null)
            using (var json = new Utf8JsonWriter(to, ValueJson.Options)) value(json);
        to.Write("\n"u8);
    }

    static void WriteKey(Utf8JsonWriter json, RowEvent told)
    {
        var row = (told.After ?? told.Before)!;
        json.WriteStartObject();
        if (told.KeyKind == KeyKind.PrimaryKey && row.Table.KeyColumns.Count > 0)
        {
            foreach (var column in row.Table.KeyColumns)
            {
                json.WritePropertyName(row.Table.Columns[column].Name);
                WriteValue(json, row[column]);
            }
        }
        else
        {
            json.WriteNumber(row.Table.RowIdColumn >= 0 ? row.Table.Columns[row.Table.RowIdColumn].Name : "rowid",
                row.RowId!.Value);
        }
        json.WriteEndObject();
    }

    void WriteValue(Utf8JsonWriter json, RowEvent told)
    {
        json.WriteStartObject();
        WriteRow(json, "before", told.Before);
        WriteRow(json, "after", told.After);
        WriteSource(json, told);
        json.WriteString("op", told.Kind switch
        {
            RowEventKind.Read => "r",
            RowEventKind.Insert => "c",
            RowEventKind.Delete => "d",
            _ => "u",
        });
        json.WriteNumber("ts_ms", time.GetUtcNow().ToUnixTimeMilliseconds());
        json.WriteNull("transaction");
        json.WriteEndObject();
    }

    void WriteSource(Utf8JsonWriter json, RowEvent told)
    {
        json.WriteStartObject("source");
        json.WriteString("version", Version);
        json.WriteString("connector", "recovery");
        json.WriteString("name", server);
        json.WriteNumber("ts_ms", told.Time.ToUnixTimeMilliseconds());
        json.WriteString("snapshot", told.Kind == RowEventKind.Read ? "true" : "false");
        json.WriteString("db", told.Database);
        json.WriteString("table", told.Table ?? "");
        json.WriteNumber("lsn", told.Lsn);
        json.WriteNumber("event", told.Number);
        json.WriteEndObject();
    }

    static void WriteRow(Utf8JsonWriter json, string name, Row? row)
    {
        json.WritePropertyName(name);
        if (row is null)
        {
            json.WriteNullValue();
            return;
        }
        json.WriteStartObject();
        for (var i = 0; i < row.Table.Columns.Count; i++)
        {
            if (!row.Table.Columns[i].IsStored) continue;
            json.WritePropertyName(row.Table.Columns[i].Name);
            WriteValue(json, row[i]);
        }
        json.WriteEndObject();
    }

    /// <summary>Consumers expect plain values: blobs as base64, and strings that are strings.</summary>
    static void WriteValue(Utf8JsonWriter json, ColumnValue value)
    {
        if (value.Kind == ValueKind.Blob) json.WriteBase64StringValue(value.Bytes);
        else if (value.Kind == ValueKind.Real && double.IsInfinity(value.Real))
            json.WriteStringValue(value.Real > 0 ? ValueJson.Infinity : ValueJson.MinusInfinity);
        else if (value.Kind == ValueKind.Text
            && !(value.TextEncoding == TextEncoding.Utf8 && Utf8.IsValid(value.Bytes)))
            json.WriteStringValue(value.Text);
        else ValueJson.Write(json, value);
    }

    static void WriteSchemaKey(Utf8JsonWriter json, RowEvent told)
    {
        json.WriteStartObject();
        json.WriteString("databaseName", told.Database);
        json.WriteEndObject();
    }

    void WriteSchemaValue(Utf8JsonWriter json, RowEvent told)
    {
        json.WriteStartObject();
        WriteSource(json, told);
        json.WriteNumber("ts_ms", time.GetUtcNow().ToUnixTimeMilliseconds());
        json.WriteString("databaseName", told.Database);
        json.WriteString("ddl", Ddl(told));
        json.WriteStartArray("tableChanges");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    static string Ddl(RowEvent told)
    {
        static string Quoted(string name) => '"' + name.Replace("\"", "\"\"", StringComparison.Ordinal) + '"';
        if (told.SchemaChange is not { } change)
            return told.Kind switch
            {
                RowEventKind.DatabaseCreated => $"CREATE DATABASE {Quoted(told.Database)}",
                RowEventKind.DatabaseRenamed
                    => $"ALTER DATABASE {Quoted(told.EarlierName!)} RENAME TO {Quoted(told.Database)}",
                _ => $"DROP DATABASE {Quoted(told.Database)}",
            };
        return change.Kind switch
        {
            SchemaChangeKind.Dropped => $"DROP {Word(change.Before!.Kind)} {Quoted(change.Before.Name)}",
            SchemaChangeKind.Renamed
                => $"ALTER TABLE {Quoted(change.Before!.Name)} RENAME TO {Quoted(change.After!.Name)}",
            _ => change.After!.Sql ?? "",
        };
    }

    static string Word(SchemaKind kind) => kind == SchemaKind.VirtualTable
        ? "TABLE"
        : kind.ToString().ToUpperInvariant();
}
