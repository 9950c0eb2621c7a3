using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>How much an event matters.</summary>
internal enum EventLevel { Error, Warning, Info }

/// <summary>
/// What happens, a line an event, where <c>RECOVERY_LOG</c> says: <c>stderr</c> or a file, to which lines are appended.
/// For who sees neither SQLite's error log nor our messages: Python, Node and EF Core show SQLite's own words only.
/// <c>RECOVERY_LOG_LEVEL</c> is <c>error</c>, <c>warning</c> or <c>info</c> (all of it, which is usual);
/// <c>RECOVERY_LOG_FORMAT=json</c> makes each line an object.
/// </summary>
internal static class EventLog
{
    static readonly Lock gate = new();
    static Stream? target;
    static EventLevel most;
    static bool asJson;

    /// <summary>Reads the environment; called when the VFS is registered.</summary>
    public static void Start() => Start(Environment.GetEnvironmentVariable);

    internal static void Start(Func<string, string?> environment)
    {
        lock (gate)
        {
            target?.Dispose();
            target = null;
            if (environment("RECOVERY_LOG") is not { Length: > 0 } where) return;
            most = environment("RECOVERY_LOG_LEVEL")?.ToLowerInvariant() switch
            {
                null or "" or "info" => EventLevel.Info,
                "warning" => EventLevel.Warning,
                "error" => EventLevel.Error,
                var other => throw new RecoveryException(RecoveryError.Invalid,
                    $"RECOVERY_LOG_LEVEL cannot be '{other}': give error, warning or info."),
            };
            asJson = environment("RECOVERY_LOG_FORMAT")?.ToLowerInvariant() switch
            {
                null or "" or "text" => false,
                "json" => true,
                var other => throw new RecoveryException(RecoveryError.Invalid,
                    $"RECOVERY_LOG_FORMAT cannot be '{other}': give text or json."),
            };
            target = where == "stderr" ? Console.OpenStandardError() : Open(where);
        }
    }

    static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"RECOVERY_LOG: cannot write {path}: {e.Message}", e)
            { Path = path };
        }
    }

    /// <summary>Told every event, whatever the environment says: a host's own log. It must not throw.</summary>
    public static event Action<EventLevel, string, string>? Told;

    /// <summary>Tells an event. What cannot be written is not worth an error of its own.</summary>
    public static void Write(EventLevel level, string what, string message)
    {
        Told?.Invoke(level, what, message);
        if (target is null || level > most) return;
        var line = Line(DateTimeOffset.UtcNow, level, what, message);
        lock (gate)
        {
            try
            {
                target?.Write(line);
                target?.Flush();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                target = null;
            }
        }
    }

    internal static byte[] Line(DateTimeOffset at, EventLevel level, string what, string message)
    {
        var time = at.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        var name = level.ToString().ToLowerInvariant();
        if (!asJson)
            return Encoding.UTF8.GetBytes(
                $"{time} recovery[{Environment.ProcessId}] {name} {what}: "
                    + $"{string.Concat(message.Select(c => char.IsControl(c) ? ' ' : c))}\n");
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("time", time);
            json.WriteString("level", name);
            json.WriteNumber("pid", Environment.ProcessId);
            json.WriteString("event", what);
            json.WriteString("message", message);
            json.WriteEndObject();
        }
        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }
}
