using System.Globalization;
using System.Text.Json;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Lines;

/// <summary>One change of a row as one JSON object.</summary>
internal static class ChangeJson
{
    public static string Word(ChangeKind kind) => kind switch
    {
        ChangeKind.Insert => "insert",
        ChangeKind.Delete => "delete",
        _ => "update",
    };

    public static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>
    /// The members <c>table</c>, <c>op</c>, <c>key</c>, <c>before</c> and <c>after</c>, as far as they say something.
    /// </summary>
    public static void WriteMembers(Utf8JsonWriter to, TableDifference table, RowChange change)
    {
        to.WriteString("table", (table.After ?? table.Before!).Name);
        to.WriteString("op", Word(change.Kind));
        if (change.IsKeyUpdate) to.WriteBoolean("key_update", true);
        to.WritePropertyName("key");
        ValueJson.WriteKey(to, (change.After ?? change.Before)!, table.KeyKind);
        WriteRow(to, "before", change.Before);
        WriteRow(to, "after", change.After);
    }

    /// <summary>The members <c>table</c> (or what else it is), <c>op</c> and the statements.</summary>
    public static void WriteMembers(Utf8JsonWriter to, SchemaChange change)
    {
        var entry = (change.After ?? change.Before)!;
        to.WriteString("schema", change.Kind switch
        {
            SchemaChangeKind.Created => "create",
            SchemaChangeKind.Dropped => "drop",
            SchemaChangeKind.Renamed => "rename",
            _ => "alter",
        });
        to.WriteString("type", entry.Kind == SchemaKind.VirtualTable ? "virtual table" : entry.Kind.ToString()
            .ToLowerInvariant());
        to.WriteString("name", entry.Name);
        to.WriteString("table", entry.TableName);
        if (change.Kind == SchemaChangeKind.Renamed) to.WriteString("earlier_name", change.Before!.Name);
        if (change.Before?.Sql is { } before) to.WriteString("before", before);
        if (change.After?.Sql is { } after) to.WriteString("after", after);
    }

    static void WriteRow(Utf8JsonWriter to, string name, Row? row)
    {
        to.WritePropertyName(name);
        if (row is null) to.WriteNullValue();
        else ValueJson.Write(to, row);
    }
}
