using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>
/// What a replicator does, a line an event, on standard error: standard output belongs to the program that it runs.
/// </summary>
internal sealed class EventLines(bool json, TextWriter target, TimeProvider time)
{
    readonly Lock gate = new();

    public void Write(ReplicationEvent happened) =>
        Write(happened.Kind is ReplicationEventKind.Behind or ReplicationEventKind.Warning
            or ReplicationEventKind.Missing or ReplicationEventKind.Joined ? "warning" : "info",
            JsonNamingPolicy.SnakeCaseLower.ConvertName(happened.Kind.ToString()), happened.Path, happened.Message);

    public void Write(string level, string what, string? path, string message)
    {
        var at = time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
        var line = json
            ? Json(at, level, what, path, message)
            : Printable.Escape($"{at} {level}: {(path is null ? "" : path + ": ")}{message}");
        lock (gate) target.WriteLine(line);
    }

    static string Json(string at, string level, string what, string? path, string message)
    {
        using var bytes = new MemoryStream();
        using (var writer =
            new Utf8JsonWriter(bytes, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("time", at);
            writer.WriteString("level", level);
            writer.WriteString("event", what);
            if (path is not null) writer.WriteString("database", path);
            writer.WriteString("message", message);
            writer.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }
}
