using System.Globalization;
using System.Text.Json;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Versions;

/// <summary>
/// Keys as people write them: a value as it is (<c>42</c>, <c>anna</c>, <c>x'00ff'</c>, <c>'42'</c> for a text where
/// numbers could be meant); of a key of several columns a JSON array, <c>["a", 1]</c>.
/// </summary>
internal static class KeyText
{
    /// <summary>Reads a key of a table. Throws Invalid with what to write instead.</summary>
    public static IReadOnlyList<object?> Parse(Table table, string text)
    {
        var columns = table.KeyColumns;
        if (columns.Count == 0 || table.RowIdColumn >= 0)
            return [long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var rowId)
                ? rowId
                : throw Wrong(table, text, "it is one integer")];
        if (columns.Count == 1) return [Value(table.Columns[columns[0]], text)];
        var names = string.Join(", ", columns.Select(c => table.Columns[c].Name));
        try
        {
            using var json = JsonDocument.Parse(text);
            if (json.RootElement.ValueKind == JsonValueKind.Array && json.RootElement.GetArrayLength() == columns.Count)
                return [.. json.RootElement.EnumerateArray().Select((e, i) => Value(table.Columns[columns[i]], e))];
        }
        catch (JsonException)
        {
            // Said below.
        }
        throw Wrong(table, text, $"it has the columns {names}: write a JSON array, as [\"a\", 1]");
    }

    static RecoveryException Wrong(Table table, string text, string why) =>
        new(RecoveryError.Invalid, $"'{text}' is no key of table {table.Name}: {why}.");

    static object? Value(Column column, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Number => value.TryGetInt64(out var whole) ? whole : value.GetDouble(),
        JsonValueKind.String => Value(column, value.GetString()!),
        _ => value.GetRawText(),
    };

    static object Value(Column column, string text)
    {
        if (text is ['x' or 'X', '\'', .. var hex, '\''] && hex.Length % 2 == 0 && hex.All(char.IsAsciiHexDigit))
            return Convert.FromHexString(hex);
        if (text is ['\'', .. var quoted, '\'']) return quoted.Replace("''", "'", StringComparison.Ordinal);
        if (column.Affinity == Affinity.Text) return text;
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole))
            return whole;
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) ? real : text;
    }
}
