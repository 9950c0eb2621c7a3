using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Lines;

/// <summary>
/// Values as JSON that says exactly what they were: NULL is null, an integer has no point and no exponent, a
/// floating-point number has one of them, a text is a string. What JSON has no word for is an object of one member:
/// <c>{"blob": base64}</c>,
/// <c>{"real": "Infinity"}</c>, and <c>{"text": base64}</c> for a text whose bytes are none in the database's encoding.
/// </summary>
internal static class ValueJson
{
    public const string Blob = "blob", Real = "real", TextBytes = "text", Infinity = "Infinity",
        MinusInfinity = "-Infinity";

    /// <summary>One line each; only what must be escaped is.</summary>
    public static readonly JsonWriterOptions Options =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    public static void Write(Utf8JsonWriter to, ColumnValue value)
    {
        switch (value.Kind)
        {
            case ValueKind.Integer:
                to.WriteNumberValue(value.Integer);
                break;
            case ValueKind.Real:
                WriteReal(to, value.Real);
                break;
            case ValueKind.Text:
                WriteText(to, value);
                break;
            case ValueKind.Blob:
                WriteBytes(to, Blob, value.Bytes);
                break;
            default:
                to.WriteNullValue();
                break;
        }
    }

    /// <summary>
    /// A row's columns by name, in their order. What is in no page (virtual generated columns) is left out.
    /// </summary>
    public static void Write(Utf8JsonWriter to, Row row)
    {
        to.WriteStartObject();
        for (var i = 0; i < row.Table.Columns.Count; i++)
        {
            if (!row.Table.Columns[i].IsStored) continue;
            to.WritePropertyName(row.Table.Columns[i].Name);
            Write(to, row[i]);
        }
        to.WriteEndObject();
    }

    /// <summary>What tells a row apart: the columns of its key, or its rowid.</summary>
    public static void WriteKey(Utf8JsonWriter to, Row row, KeyKind kind)
    {
        to.WriteStartObject();
        var table = row.Table;
        if (kind == KeyKind.PrimaryKey && table.KeyColumns.Count > 0)
        {
            foreach (var column in table.KeyColumns)
            {
                to.WritePropertyName(table.Columns[column].Name);
                Write(to, row[column]);
            }
        }
        else
        {
            to.WriteNumber(table.RowIdColumn >= 0 ? table.Columns[table.RowIdColumn].Name : "rowid", row.RowId!.Value);
        }
        to.WriteEndObject();
    }

    /// <summary>A floating-point number, told from an integer by its point or exponent.</summary>
    public static void WriteReal(Utf8JsonWriter to, double value)
    {
        if (double.IsInfinity(value))
        {
            to.WriteStartObject();
            to.WriteString(Real, value > 0 ? Infinity : MinusInfinity);
            to.WriteEndObject();
            return;
        }
        Span<char> text = stackalloc char[40];
        value.TryFormat(text, out var length, "R", CultureInfo.InvariantCulture);
        if (!text[..length].ContainsAny('.', 'E')) (text[length], text[length + 1], length) = ('.', '0', length + 2);
        to.WriteRawValue(text[..length], skipInputValidation: true);
    }

    static void WriteText(Utf8JsonWriter to, ColumnValue value)
    {
        if (value.TextEncoding == TextEncoding.Utf8)
        {
            if (Utf8.IsValid(value.Bytes)) to.WriteStringValue(value.Bytes);
            else WriteBytes(to, TextBytes, value.Bytes);
            return;
        }
        var encoding = value.TextEncoding == TextEncoding.Utf16LittleEndian
            ? Encoding.Unicode
            : Encoding.BigEndianUnicode;
        var text = encoding.GetString(value.Bytes);
        if (encoding.GetBytes(text).AsSpan().SequenceEqual(value.Bytes)) to.WriteStringValue(text);
        else WriteBytes(to, TextBytes, value.Bytes);
    }

    static void WriteBytes(Utf8JsonWriter to, string name, ReadOnlySpan<byte> bytes)
    {
        to.WriteStartObject();
        to.WriteBase64String(name, bytes);
        to.WriteEndObject();
    }
}
