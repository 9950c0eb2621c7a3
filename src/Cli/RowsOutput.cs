using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.Changes.Lines;
using SQLitePCL;

namespace RecoveryVfs.Cli;

/// <summary>Rows of a SELECT as the sqlite3 shell prints them: a list with | between values, CSV, or JSON.</summary>
internal sealed class RowsOutput(Output to, bool csv, bool header)
{
    public void Write(sqlite3_stmt rows)
    {
        if (to.IsJson)
        {
            using var bytes = to.OpenRawBytes();
            WriteJson(rows, bytes);
            return;
        }
        using var text = to.OpenRaw();
        text.NewLine = csv ? "\r\n" : "\n";
        var separator = csv ? ',' : '|';
        var columns = raw.sqlite3_column_count(rows);
        void Line(Func<int, string> value)
        {
            for (var i = 0; i < columns; i++)
            {
                if (i > 0) text.Write(separator);
                text.Write(csv ? Csv(value(i)) : value(i));
            }
            text.WriteLine();
        }
        var isFirst = header;
        while (Connection.Step(rows))
        {
            if (isFirst) Line(i => raw.sqlite3_column_name(rows, i).utf8_to_string());
            isFirst = false;
            Line(i => raw.sqlite3_column_text(rows, i).utf8_to_string() ?? "");
        }
    }

    /// <summary>Quotes around what would not be read back as it is.</summary>
    public static string Csv(string value) => value.AsSpan().ContainsAny("\",\r\n\t '")
        || value.Any(c => c < ' ' || c > '~')
        ? '"' + value.Replace("\"", "\"\"", StringComparison.Ordinal) + '"' : value;

    static void WriteJson(sqlite3_stmt rows, Stream to)
    {
        var line = new ArrayBufferWriter<byte>();
        var columns = raw.sqlite3_column_count(rows);
        line.Write("["u8);
        for (var first = true; Connection.Step(rows); first = false)
        {
            if (!first) line.Write(",\n"u8);
            using (var json = new Utf8JsonWriter(line, ValueJson.Options))
            {
                json.WriteStartObject();
                for (var i = 0; i < columns; i++)
                {
                    json.WritePropertyName(raw.sqlite3_column_name(rows, i).utf8_to_string());
                    WriteValue(json, rows, i);
                }
                json.WriteEndObject();
            }
            to.Write(line.WrittenSpan);
            line.ResetWrittenCount();
        }
        line.Write("]\n"u8);
        to.Write(line.WrittenSpan);
    }

    static void WriteValue(Utf8JsonWriter json, sqlite3_stmt rows, int column)
    {
        switch (raw.sqlite3_column_type(rows, column))
        {
            case raw.SQLITE_INTEGER:
                json.WriteNumberValue(raw.sqlite3_column_int64(rows, column));
                break;
            case raw.SQLITE_FLOAT when double.IsFinite(raw.sqlite3_column_double(rows, column)):
                ValueJson.WriteReal(json, raw.sqlite3_column_double(rows, column));
                break;
            case raw.SQLITE_FLOAT:
                json.WriteRawValue(raw.sqlite3_column_double(rows, column) > 0 ? "9.0e+999" : "-9.0e+999",
                    skipInputValidation: true);
                break;
            case raw.SQLITE_TEXT:
                json.WriteStringValue(raw.sqlite3_column_text(rows, column).utf8_to_string());
                break;
            case raw.SQLITE_BLOB:
                json.WriteStringValue(Encoding.Latin1.GetString(raw.sqlite3_column_blob(rows, column)));
                break;
            default:
                json.WriteNullValue();
                break;
        }
    }
}
