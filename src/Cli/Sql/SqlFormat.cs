using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.Interop;

namespace RecoveryVfs.Cli.Sql;

/// <summary>How rows are printed.</summary>
internal enum SqlStyle { List, Csv, Json, Box }

/// <summary>
/// Prints the rows of statements as the shell of SQLite does. To a terminal, characters that would move its cursor are
/// shown, not sent.
/// </summary>
internal sealed class SqlFormat(TextWriter to, SqlStyle style, bool header, bool toTerminal) : ISqlResults
{
    /// <summary>What a table is made of is kept until it ends.</summary>
    const int BoxRowsMax = 100_000;

    readonly List<string[]> box = [];
    string[] columns = [];
    bool isFirst;

    public SqlStyle Style { get; set; } = style;

    public bool Header { get; set; } = header;

    public void Columns(string[] names)
    {
        columns = names;
        isFirst = true;
        box.Clear();
        if (Style == SqlStyle.List && Header) to.WriteLine(Shown(string.Join('|', names)));
        if (Style == SqlStyle.Csv && Header) to.Write(string.Join(',', names.Select(Quoted)) + "\r\n");
        if (Style == SqlStyle.Json) to.Write('[');
    }

    public void Row(SqlValue[] values)
    {
        switch (Style)
        {
            case SqlStyle.List:
                to.WriteLine(Shown(string.Join('|', values.Select(Text))));
                break;
            case SqlStyle.Csv:
                to.Write(string.Join(',', values.Select(v => v.Kind is SqlKind.Text ? Quoted(Text(v)) : Text(v)))
                    + "\r\n");
                break;
            case SqlStyle.Json:
                if (!isFirst) to.Write(",\n");
                to.Write(JsonOf(values));
                break;
            case SqlStyle.Box:
                if (box.Count == BoxRowsMax)
                    throw new SqlFailure(Sqlite.TooBig,
                        $"A table of more than {BoxRowsMax:N0} rows is not drawn. Take another format (--csv, "
                            + "--json), or LIMIT.");
                box.Add(Array.ConvertAll(values, v => Printable.Escape(Text(v))));
                break;
        }
        isFirst = false;
    }

    public void Done(bool hasRows, long changes)
    {
        if (!hasRows) return;
        if (Style == SqlStyle.Json) to.WriteLine(']');
        if (Style == SqlStyle.Box && box.Count > 0) Draw();
        box.Clear();
    }

    void Draw()
    {
        var names = Array.ConvertAll(columns, Printable.Escape);
        var widths = names.Select((n, i) => Math.Max(Printable.Width(n), box.Max(r => Printable.Width(r[i]))))
            .ToArray();
        string Line(string left, string middle, string right)
            => left + string.Join(middle, widths.Select(w => new string('─', w + 2))) + right;
        string Cells(string[] cells) => "│ "
            + string.Join(" │ ", cells.Select((c, i) => Printable.PadRight(c, widths[i]))) + " │";
        to.WriteLine(Line("┌", "┬", "┐"));
        to.WriteLine(Cells(names));
        to.WriteLine(Line("├", "┼", "┤"));
        foreach (var row in box) to.WriteLine(Cells(row));
        to.WriteLine(Line("└", "┴", "┘"));
    }

    string Shown(string text) => toTerminal ? Printable.Escape(text) : text;

    static string Text(SqlValue value) => value.Kind switch
    {
        SqlKind.Integer => value.Number.ToString(CultureInfo.InvariantCulture),
        SqlKind.Real => Real(value.Real),
        SqlKind.Text => Encoding.UTF8.GetString(value.Bytes),
        SqlKind.Blob => $"x'{Convert.ToHexStringLower(value.Bytes)}'",
        _ => "",
    };

    /// <summary>A real number shows that it is one.</summary>
    static string Real(double value)
    {
        if (double.IsInfinity(value)) return value > 0 ? "Inf" : "-Inf";
        var text = value.ToString("R", CultureInfo.InvariantCulture).Replace("E", "e");
        return text.AsSpan().IndexOfAny(".e") < 0 ? text + ".0" : text;
    }

    static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 && text.Trim() == text
        ? text
        : $"\"{text.Replace("\"", "\"\"")}\"";

    string JsonOf(SqlValue[] values)
    {
        using var bytes = new MemoryStream();
        using (var json =
            new Utf8JsonWriter(bytes,
            new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            for (var i = 0; i < values.Length; i++)
            {
                json.WritePropertyName(columns[i]);
                if (values[i].Kind == SqlKind.Null) json.WriteNullValue();
                else if (values[i].Kind == SqlKind.Integer) json.WriteNumberValue(values[i].Number);
                // JSON has no infinity; SQLite's shell writes a number that is read as one.
                else if (values[i].Kind == SqlKind.Real)
                    json.WriteRawValue(double.IsInfinity(values[i].Real) ? values[i]
                        .Real > 0 ? "9.0e+999" : "-9.0e+999" : Real(values[i].Real), skipInputValidation: true);
                else json.WriteStringValue(Text(values[i]));
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }
}
