using System.Text.Json;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.Programs;

/// <summary>
/// Why a program failed, for people and for programs: a message and an exit code, and what else is known.
/// </summary>
internal sealed record Failure(int Code, string Message)
{
    /// <summary>The error of our own family that it was; null for others.</summary>
    public RecoveryException? Error { get; private init; }

    const int NoSpace = 28, QuotaUsedUp = 122, ReadOnlyDisk = 30;

    /// <summary>What an exception means; <paramref name="program"/> names who would have a bug.</summary>
    public static Failure Of(Exception e, string program) => e switch
    {
        RecoveryException r => new(ExitCode.Of(r.Error), r.Message) { Error = r },
        ObjectStoreException o => Of(o.ToRecoveryException(), program),
        AggregateException { InnerExceptions: [var only] } => Of(only, program),
        FileNotFoundException f
            => new(ExitCode.NotFound, $"There is no file {f.FileName ?? Quoted(f)}. Check the path."),
        DirectoryNotFoundException d
            => new(ExitCode.NotFound, $"There is no directory for {Quoted(d)}. Check the path."),
        UnauthorizedAccessException u
            => new(ExitCode.Failure,
                $"This user may not touch {Quoted(u)}. Give the rights to it, or run as its owner."),
        Rows.DatabaseDamagedException d => new(ExitCode.Damaged, d.Message),
        IOException io => new(ExitCode.Failure, OfDisk(io)),
        _ => new(ExitCode.Failure, $"This is a bug in {program}; please report it: {e.GetType().Name}: {e.Message}"),
    };

    /// <summary>
    /// One line:
    /// <c>{"error":{"kind":"not-found","exit_code":3,"message":"...","error":"not-found","path":"...","lsn":7,</c>
    /// <c>"hint":"...","transient":false}}</c>.
    /// What is not known is left out.
    /// </summary>
    public string ToJson()
    {
        using var bytes = new MemoryStream();
        using (var json =
            new Utf8JsonWriter(bytes,
            new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteStartObject("error");
            json.WriteString("kind", ExitCode.WordOf(Code));
            json.WriteNumber("exit_code", Code);
            json.WriteString("message", Message);
            WriteDetails(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    void WriteDetails(Utf8JsonWriter json)
    {
        if (Error is null) return;
        json.WriteString("error", JsonNamingPolicy.KebabCaseLower.ConvertName(Error.Error.ToString()));
        if (Error.Path is { } path) json.WriteString("path", path);
        if (Error.Lsn is { } lsn) json.WriteNumber("lsn", lsn);
        if (Error.Hint is { } hint) json.WriteString("hint", hint);
        json.WriteBoolean("transient", Error.IsTransient);
    }

    static string OfDisk(IOException e) => (e.HResult & 0xffff) switch
    {
        NoSpace => $"The disk is full{At(e)}. Free some space there and try again.{RoomAt(e)}",
        QuotaUsedUp => $"The disk quota is used up{At(e)}. Raise it or free some space, and try again.",
        ReadOnlyDisk => $"The file system is mounted read-only{At(e)}. Remount it for writing, or write elsewhere.",
        _ => e.Message,
    };

    static string At(IOException e) => Quoted(e) is { Length: > 0 } path ? $" at {path}" : "";

    static string RoomAt(IOException e) => Quoted(e) is { Length: > 0 } path ? DiskRoom.Tell(path) : "";

    /// <summary>.NET's messages name the path between quotes.</summary>
    static string Quoted(Exception e)
    {
        var (first, last) = (e.Message.IndexOf('\''), e.Message.LastIndexOf('\''));
        return last > first ? e.Message[(first + 1)..last] : e is IOException ? "" : e.Message;
    }
}
