using System.Globalization;
using System.Text;

namespace RecoveryVfs.Programs;

/// <summary>
/// Text as a terminal shows it: names from elsewhere never move the cursor, and columns stand under each other.
/// </summary>
internal static class Printable
{
    /// <summary>
    /// Control characters, and those that change the direction of text, as <c>\n</c> or <c>\u{1b}</c>.
    /// </summary>
    public static string Escape(string text)
    {
        if (!text.EnumerateRunes().Any(MustEscape)) return text;
        var escaped = new StringBuilder(text.Length + 16);
        foreach (var rune in text.EnumerateRunes())
        {
            if (!MustEscape(rune)) escaped.Append(rune.ToString());
            else escaped.Append(
                rune.Value switch
                {
                    '\n' => @"\n",
                    '\r' => @"\r",
                    '\t' => @"\t",
                    var value => string.Create(CultureInfo.InvariantCulture, $@"\u{{{value:x}}}")
                });
        }
        return escaped.ToString();
    }

    static bool MustEscape(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        || rune.Value is >= 0x202a and <= 0x202e or >= 0x2066 and <= 0x2069 or 0x200e or 0x200f;

    /// <summary>How many columns of a terminal a text takes.</summary>
    public static int Width(string text) => text.EnumerateRunes().Sum(WidthOf);

    public static string PadRight(string text, int width) => text + new string(' ', Math.Max(0, width - Width(text)));

    public static string PadLeft(string text, int width) => new string(' ', Math.Max(0, width - Width(text))) + text;

    /// <summary>The beginning of a text that fits some columns.</summary>
    public static string Fit(string text, int width)
    {
        if (Width(text) <= width) return text;
        var fitting = new StringBuilder();
        var taken = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if ((taken += WidthOf(rune)) > width) break;
            fitting.Append(rune.ToString());
        }
        return fitting.ToString();
    }

    static int WidthOf(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format
            or UnicodeCategory.Control => 0,
        _ => IsWide(rune.Value) ? 2 : 1,
    };

    /// <summary>The blocks that Unicode's East Asian Width calls wide, and the emoji.</summary>
    static bool IsWide(int value) => value is >= 0x1100 and <= 0x115f or >= 0x2e80 and <= 0x303e or >= 0x3041
        and <= 0x33ff or >= 0x3400 and <= 0x4dbf
        or >= 0x4e00 and <= 0x9fff or >= 0xa000 and <= 0xa4cf or >= 0xa960 and <= 0xa97c or >= 0xac00 and <= 0xd7a3
            or >= 0xf900 and <= 0xfaff
        or >= 0xfe30 and <= 0xfe6f or >= 0xff01 and <= 0xff60 or >= 0xffe0 and <= 0xffe6 or >= 0x1f300 and <= 0x1f64f
            or >= 0x1f680 and <= 0x1f6ff
        or >= 0x1f900 and <= 0x1f9ff or >= 0x20000 and <= 0x3fffd;
}
