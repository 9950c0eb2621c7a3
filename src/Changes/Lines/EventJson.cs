using System.Buffers;
using System.Text.Json;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Lines;

/// <summary>Events of a row tail as one JSON object a line.</summary>
internal sealed class EventJson : IEventFormat
{
    readonly Utf8JsonWriter json = new(Stream.Null, ValueJson.Options);

    public void Write(RowEvent told, IBufferWriter<byte> to)
    {
        json.Reset(to);
        json.WriteStartObject();
        json.WriteNumber("lsn", told.Lsn);
        json.WriteNumber("n", told.Number);
        json.WriteString("time", ChangeJson.Time(told.Time));
        json.WriteString("database", told.Database);
        if (told.SchemaChange is { } schema) ChangeJson.WriteMembers(json, schema);
        else if (told.Table is not null) WriteRow(json, told);
        else WriteDatabase(json, told);
        json.WriteEndObject();
        json.Flush();
        to.Write("\n"u8);
    }

    static void WriteRow(Utf8JsonWriter json, RowEvent told)
    {
        json.WriteString("table", told.Table);
        json.WriteString("op", told.Kind switch
        {
            RowEventKind.Read => "read",
            RowEventKind.Insert => "insert",
            RowEventKind.Delete => "delete",
            _ => "update",
        });
        if (told.IsKeyUpdate) json.WriteBoolean("key_update", true);
        json.WritePropertyName("key");
        ValueJson.WriteKey(json, (told.After ?? told.Before)!, told.KeyKind);
        WriteRow(json, "before", told.Before);
        WriteRow(json, "after", told.After);
    }

    static void WriteRow(Utf8JsonWriter json, string name, Row? row)
    {
        json.WritePropertyName(name);
        if (row is null) json.WriteNullValue();
        else ValueJson.Write(json, row);
    }

    static void WriteDatabase(Utf8JsonWriter json, RowEvent told)
    {
        json.WriteString("op", told.Kind switch
        {
            RowEventKind.DatabaseCreated => "create database",
            RowEventKind.DatabaseRenamed => "rename database",
            _ => "drop database",
        });
        if (told.EarlierName is { } earlier) json.WriteString("earlier_name", earlier);
    }
}

/// <summary>How an event is written as a line, or as several.</summary>
internal interface IEventFormat
{
    void Write(RowEvent told, IBufferWriter<byte> to);
}
