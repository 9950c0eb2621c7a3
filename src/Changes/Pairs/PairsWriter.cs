using System.Text.Json;
using System.Text.Unicode;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Changes.Lines;

namespace RecoveryVfs.Changes.Pairs;

/// <summary>
/// Writes pairs as JSON lines: a header, a line a pair, and a last line with counts and the SHA-256 of everything
/// before it. What is text is a string, and what is not an object <c>{"blob": base64}</c>.
/// </summary>
internal sealed class PairsWriter : IDisposable
{
    readonly LinesWriter lines;
    readonly List<PairsOfFamily> counts = [];

    public PairsWriter(Stream output, PairsHeader header)
    {
        lines = new LinesWriter(output);
        lines.Write(header, PairsJson.Plain.PairsHeader);
    }

    /// <summary>Begins a family; its pairs follow.</summary>
    public void Begin(string family) => counts.Add(new PairsOfFamily(family, 0));

    public void Write(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        var (family, pairs) = counts[^1];
        counts[^1] = new PairsOfFamily(family, pairs + 1);
        var json = lines.Begin();
        json.WriteStartObject();
        json.WriteString("family", family);
        json.WritePropertyName("key");
        Write(json, key);
        json.WritePropertyName("value");
        Write(json, value);
        json.WriteEndObject();
        lines.EndLine();
    }

    static void Write(Utf8JsonWriter json, ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            json.WriteStringValue(bytes);
            return;
        }
        json.WriteStartObject();
        json.WriteBase64String(ValueJson.Blob, bytes);
        json.WriteEndObject();
    }

    public PairsEnd End() =>
        lines.End((count, sha) => new PairsEnd(true, count, counts, sha), PairsJson.Plain.PairsEnd);

    public void Dispose() => lines.Dispose();
}
