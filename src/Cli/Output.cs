using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace RecoveryVfs.Cli;

/// <summary>
/// Where results go: tables for people or JSON for machines to standard output; everything else to standard error.
/// Names come from elsewhere, so nothing that would move a terminal's cursor gets through.
/// </summary>
internal sealed class Output(bool json, TextWriter results, TextWriter messages)
{
    /// <summary>
    /// The result: as JSON in its format in <see cref="Results"/>, or as <paramref name="forPeople"/> prints it.
    /// </summary>
    public void Result<T>(T value, JsonTypeInfo<T> format, Action<T> forPeople)
    {
        if (json) results.WriteLine(JsonSerializer.Serialize(value, format));
        else forPeople(value);
    }

    /// <summary>Whether results are to be JSON.</summary>
    public bool IsJson => json;

    /// <summary>
    /// Standard output for what is to be read back as it is: SQL, CSV. Dispose it when all is written.
    /// </summary>
    public StreamWriter OpenRaw()
        => new(OpenRawBytes(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), RawBufferBytes);

    /// <summary>The same for whoever writes bytes.</summary>
    public Stream OpenRawBytes()
    {
        results.Flush();
        return new BufferedStream(Console.OpenStandardOutput(), RawBufferBytes);
    }

    const int RawBufferBytes = 64 << 10;

    /// <summary>A line of the result for people.</summary>
    public void Line(string text = "") => results.WriteLine(Printable.Escape(text));

    /// <summary>Something to know that is not the result.</summary>
    public void Note(string text)
        => messages.WriteLine(json
            ? JsonSerializer.Serialize(new Said(text, null), Results.OneLine.Said)
            : Printable.Escape(text));

    /// <summary>Something that may be wrong, though the result was delivered.</summary>
    public void Warning(string text) =>
        messages.WriteLine(json
            ? JsonSerializer.Serialize(new Said(null, text), Results.OneLine.Said)
            : "recovery: warning: " + Printable.Escape(text));

    /// <summary>Why it failed.</summary>
    public void Error(Failure failure)
        => messages.WriteLine(json ? failure.ToJson() : "recovery: " + Printable.Escape(failure.Message));

    /// <summary>What --json makes of messages, one a line, on standard error.</summary>
    internal sealed record Said(string? Note, string? Warning);

    /// <summary>Names and values, one a line; those without a value are left out.</summary>
    public void Pairs(params (string Name, object? Value)[] rows)
    {
        var width = rows.Where(r => r.Value is not null).Max(r => r.Name.Length);
        foreach (var (name, value) in rows)
            if (value is not null)
                results.WriteLine($"{(name + ":").PadRight(width + 1)}  {Printable.Escape($"{value}")}");
    }

    /// <summary>A table; columns whose header ends in '>' are aligned to the right.</summary>
    public void Table(string[] headers, IEnumerable<string[]> rows)
    {
        var all = rows.Select(r => Array.ConvertAll(r, Printable.Escape)).ToList();
        var widths = new int[headers.Length];
        for (var i = 0; i < widths.Length; i++)
            widths[i] = Math.Max(headers[i].TrimEnd('>').Length,
                all.Count == 0 ? 0 : all.Max(r => Printable.Width(r[i])));
        Write([.. headers.Select(h => h.TrimEnd('>'))]);
        foreach (var row in all) Write(row);

        void Write(string[] cells) => results.WriteLine(string.Join("  ",
            cells.Select((c, i) => headers[i].EndsWith('>')
                ? Printable.PadLeft(c, widths[i])
                : Printable.PadRight(c, widths[i]))).TrimEnd());
    }
}
