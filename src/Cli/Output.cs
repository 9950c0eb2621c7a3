using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace RecoveryVfs.Cli;

/// <summary>Where results go: tables for people or JSON for machines to standard output; everything else to standard error.</summary>
internal sealed class Output(bool json, TextWriter results, TextWriter messages)
{
    /// <summary>The result: as JSON in its format in <see cref="Results"/>, or as <paramref name="forPeople"/> prints it.</summary>
    public void Result<T>(T value, JsonTypeInfo<T> format, Action<T> forPeople)
    {
        if (json) results.WriteLine(JsonSerializer.Serialize(value, format));
        else forPeople(value);
    }

    /// <summary>A line of the result for people.</summary>
    public void Line(string text = "") => results.WriteLine(text);

    /// <summary>Something to know that is not the result.</summary>
    public void Note(string text) => messages.WriteLine(text);

    /// <summary>Why it failed.</summary>
    public void Error(string text) => messages.WriteLine("recovery: " + text);

    /// <summary>Names and values, one a line; those without a value are left out.</summary>
    public void Pairs(params (string Name, object? Value)[] rows)
    {
        var width = rows.Where(r => r.Value is not null).Max(r => r.Name.Length);
        foreach (var (name, value) in rows)
            if (value is not null) results.WriteLine($"{(name + ":").PadRight(width + 1)}  {value}");
    }

    /// <summary>A table; columns whose header ends in '>' are aligned to the right.</summary>
    public void Table(string[] headers, IEnumerable<string[]> rows)
    {
        var all = rows.ToList();
        var widths = new int[headers.Length];
        for (var i = 0; i < widths.Length; i++)
            widths[i] = Math.Max(headers[i].TrimEnd('>').Length, all.Count == 0 ? 0 : all.Max(r => r[i].Length));
        Write([.. headers.Select(h => h.TrimEnd('>'))]);
        foreach (var row in all) Write(row);

        void Write(string[] cells) => results.WriteLine(string.Join("  ",
            cells.Select((c, i) => headers[i].EndsWith('>') ? c.PadLeft(widths[i]) : c.PadRight(widths[i]))).TrimEnd());
    }
}
