namespace RecoveryVfs.Programs;

/// <summary>Text for a terminal of a usual width, and for the manual pages that are made of it.</summary>
internal static class Wrapped
{
    public const int Columns = 100;

    /// <summary>
    /// Paragraphs, as wide as a terminal at most. Lines of a source become one; what is indented there stays a line.
    /// </summary>
    public static string Paragraphs(string text)
    {
        var lines = new List<string>();
        foreach (var line in text.TrimEnd().Split('\n'))
            if (lines.Count > 0 && IsText(lines[^1]) && IsText(line)) lines[^1] += " " + line;
            else lines.Add(line);
        return string.Join('\n', lines.SelectMany(line => IsText(line) ? Lines(line, Columns) : [line]));

        static bool IsText(string line) => line.Length > 0 && line[0] != ' ';
    }

    /// <summary>A label, and beside it a text, which goes on below itself.</summary>
    public static string Row(string label, int width, string? text)
    {
        var indent = new string(' ', width + 4);
        // A label that is wider than its column has a line of its own.
        var beginning = label.Length <= width ? $"  {label.PadRight(width)}  " : $"  {label}\n{indent}";
        return beginning + string.Join("\n" + indent, Lines(text ?? "", Columns - width - 4));
    }

    static IEnumerable<string> Lines(string text, int columns)
    {
        var line = "";
        foreach (var word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > columns)
            {
                yield return line;
                line = "";
            }
            line += line.Length > 0 ? " " + word : word;
        }
        yield return line;
    }
}
