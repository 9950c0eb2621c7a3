using System.Globalization;
using System.Text;

namespace RecoveryVfs.Rows.Sql;

/// <summary>Names and values as SQL that SQLite reads back as they were, bit for bit.</summary>
internal static class SqlText
{
    public static string Name(string name) => '"' + name.Replace("\"", "\"\"", StringComparison.Ordinal) + '"';

    public static void Append(StringBuilder to, ColumnValue value)
    {
        switch (value.Kind)
        {
            case ValueKind.Integer:
                to.Append(CultureInfo.InvariantCulture, $"{value.Integer}");
                break;
            case ValueKind.Real:
                to.Append(Real(value.Real));
                break;
            case ValueKind.Text:
                AppendText(to, value);
                break;
            case ValueKind.Blob:
                to.Append("x'").Append(Convert.ToHexString(value.Bytes)).Append('\'');
                break;
            default:
                to.Append("NULL");
                break;
        }
    }

    static string Real(double value)
    {
        if (double.IsInfinity(value)) return value > 0 ? "9e999" : "-9e999";
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().ContainsAny('.', 'E') ? text : text + ".0";
    }

    /// <summary>What cannot be said in quotes (a zero, bytes that are no text) is said in bytes.</summary>
    static void AppendText(StringBuilder to, ColumnValue value)
    {
        var text = value.Text;
        if (text.Contains('\0') || !ColumnValue.EncodingOf(value.TextEncoding).GetBytes(text).AsSpan()
            .SequenceEqual(value.Bytes))
            to.Append("CAST(x'").Append(Convert.ToHexString(value.Bytes)).Append("' AS TEXT)");
        else
            to.Append('\'').Append(text.Replace("'", "''", StringComparison.Ordinal)).Append('\'');
    }
}
