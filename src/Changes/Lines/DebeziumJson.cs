using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Lines;

/// <summary>
/// Events as Debezium's connectors write them, with JsonConverter and <c>schemas.enable=false</c>: a line is a message,
/// its key, a tab, and its value. After a delete comes a tombstone, the key with nothing after the tab. So <c>kcat -P
/// -K '\t' -Z</c> makes Kafka's messages of the lines. An update that gives a row another key is a delete with its
/// tombstone, and then a create. Schema changes are in the form of Debezium's schema change topic, with the statement
/// as <c>ddl</c> and no <c>tableChanges</c>.
/// </summary>
internal sealed class DebeziumJson(string server, TimeProvider time) : IEventFormat
{
    const string Version = "1.0";
    const long MicrosecondsOfMillisecond = 1_000, NanosecondsOfMillisecond = 1_000_000;

    readonly Utf8JsonWriter json = new(Stream.Null, ValueJson.Options);

    public void Write(RowEvent told, IBufferWriter<byte> to)
    {
        var isRow = told.Table is not null && told.SchemaChange is null;
        WriteKey(told, isRow, to);
        json.Reset(to);
        if (isRow) WriteValue(json, told);
        else WriteSchemaValue(json, told);
        json.Flush();
        to.Write("\n"u8);
        if (told.Kind != RowEventKind.Delete) return;
        WriteKey(told, isRow, to);
        to.Write("\n"u8);
    }

    void WriteKey(RowEvent told, bool isRow, IBufferWriter<byte> to)
    {
        json.Reset(to);
        if (isRow) WriteKey(json, told);
        else WriteSchemaKey(json, told);
        json.Flush();
        to.Write("\t"u8);
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
        WriteTimes(json, time.GetUtcNow());
        json.WriteNull("transaction");
        json.WriteEndObject();
    }

    void WriteSource(Utf8JsonWriter json, RowEvent told)
    {
        json.WriteStartObject("source");
        json.WriteString("version", Version);
        json.WriteString("connector", "recovery");
        json.WriteString("name", server);
        WriteTimes(json, told.Time);
        json.WriteString("snapshot", told.Kind == RowEventKind.Read ? "true" : "false");
        json.WriteString("db", told.Database);
        json.WriteString("sequence",
            string.Create(CultureInfo.InvariantCulture, $"[\"{told.Lsn}\",\"{told.Number}\"]"));
        json.WriteString("table", told.Table);
        json.WriteNumber("lsn", told.Lsn);
        json.WriteNumber("event", told.Number);
        json.WriteEndObject();
    }

    /// <summary>The same moment in three units, as newer versions have it. We know milliseconds.</summary>
    static void WriteTimes(Utf8JsonWriter json, DateTimeOffset at)
    {
        var milliseconds = at.ToUnixTimeMilliseconds();
        json.WriteNumber("ts_ms", milliseconds);
        json.WriteNumber("ts_us", milliseconds * MicrosecondsOfMillisecond);
        json.WriteNumber("ts_ns", milliseconds * NanosecondsOfMillisecond);
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
        WriteTimes(json, time.GetUtcNow());
        json.WriteString("databaseName", told.Database);
        json.WriteNull("schemaName");
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
