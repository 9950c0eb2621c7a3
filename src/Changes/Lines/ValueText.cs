using System.Globalization;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Lines;

/// <summary>Values for people: as SQL would write them, shortened where they are long.</summary>
internal static class ValueText
{
    const int MostCharacters = 200;

    public static string Sql(ColumnValue value) => value.Kind switch
    {
        ValueKind.Null => "NULL",
        ValueKind.Integer => value.Integer.ToString(CultureInfo.InvariantCulture),
        ValueKind.Real => Real(value.Real),
        ValueKind.Text => $"'{Shortened(value.Text).Replace("'", "''", StringComparison.Ordinal)}'",
        ValueKind.Blob
            => $"x'{Shortened(Convert.ToHexStringLower(value.Bytes[..Math.Min(value.Bytes.Length, MostCharacters)]))}'",
        _ => "?",
    };

    /// <summary>A floating-point number, told from an integer by its point or exponent.</summary>
    public static string Real(double value)
    {
        if (double.IsInfinity(value)) return value > 0 ? "9e999" : "-9e999";
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().ContainsAny('.', 'E') ? text : text + ".0";
    }

    static string Shortened(string text) => text.Length <= MostCharacters
        ? text
        : string.Concat(text.AsSpan(0, MostCharacters), "..");
}
