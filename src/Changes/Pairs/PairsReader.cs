using System.Text.Json;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Changes.Lines;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Changes.Pairs;

/// <summary>
/// Reads exported pairs, and knows at the end whether they are whole: whoever uses them before that must be able to
/// take them back.
/// </summary>
internal sealed class PairsReader : IDisposable
{
    readonly ProvedLines lines;
    readonly HashSet<string> families;

    PairsReader(ProvedLines lines, PairsHeader header)
        => (this.lines, Header, families) = (lines, header, new(header.Families, StringComparer.Ordinal));

    /// <summary>The first line.</summary>
    public PairsHeader Header { get; }

    /// <summary>The last line, once it was read.</summary>
    public PairsEnd? End { get; private set; }

    /// <summary>Opens a file; null when it holds no exported pairs.</summary>
    public static PairsReader? TryOpen(string file)
    {
        var lines = ProvedLines.TryOpen(file, PairsHeader.Begins);
        try
        {
            return lines is null ? null : new PairsReader(lines, PairsHeader.Parse(lines.First, file));
        }
        catch
        {
            lines!.Dispose();
            throw;
        }
    }

    /// <summary>Reads a whole file. Throws Corrupt when it is not what was written.</summary>
    public static (PairsHeader Header, PairsEnd End) Verify(string file)
    {
        using var reader = TryOpen(file)
            ?? throw new RecoveryException(RecoveryError.Invalid,
                $"{file} holds no exported pairs: its first line says nothing of {PairsHeader.Name}.");
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        while (reader.TryRead(out var pair)) counts[pair.Family] = counts.GetValueOrDefault(pair.Family) + 1;
        foreach (var (name, pairs) in reader.End!.Families)
            if (counts.GetValueOrDefault(name) != pairs)
                throw reader.lines.Damaged($"it has {counts.GetValueOrDefault(name)} pairs of {name}, and its last "
                    + $"line tells of {pairs}");
        return (reader.Header, reader.End);
    }

    /// <summary>The next pair; false at the end, when all of the file has proved right.</summary>
    public bool TryRead(out (string Family, byte[] Key, byte[] Value) pair)
    {
        pair = default;
        try
        {
            if (lines.TryRead(out var line))
            {
                var json = new Utf8JsonReader(line);
                Expect(json.Read() && json.TokenType == JsonTokenType.StartObject);
                Expect(json.Read() && json.ValueTextEquals("family"u8) && json.Read());
                var family = json.GetString();
                Expect(json.Read() && json.ValueTextEquals("key"u8) && json.Read());
                var key = Bytes(ref json);
                Expect(json.Read() && json.ValueTextEquals("value"u8) && json.Read());
                var value = Bytes(ref json);
                Expect(json.Read() && json.TokenType == JsonTokenType.EndObject && json.BytesConsumed == line.Length);
                Expect(families.Contains(family!));
                pair = (family!, key, value);
                return true;
            }
            End = JsonSerializer.Deserialize(lines.Last, PairsJson.Default.PairsEnd)!;
            return End.Families is null || End.Families.Any(f => f?.Name is null)
                ? throw new JsonException("no families")
                : false;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw lines.Damaged($"a line is none that is written here ({e.Message})");
        }
    }

    static void Expect(bool isSo)
    {
        if (!isSo) throw new JsonException("its members");
    }

    static byte[] Bytes(ref Utf8JsonReader json)
    {
        if (json.TokenType == JsonTokenType.String)
        {
            var text = new byte[json.HasValueSequence ? json.ValueSequence.Length : json.ValueSpan.Length];
            return text[..json.CopyString(text)];
        }
        Expect(json.TokenType == JsonTokenType.StartObject && json.Read() && json.ValueTextEquals(ValueJson.Blob)
            && json.Read());
        var bytes = json.GetBytesFromBase64();
        Expect(json.Read() && json.TokenType == JsonTokenType.EndObject);
        return bytes;
    }

    public void Dispose() => lines.Dispose();
}
