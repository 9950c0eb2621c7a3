using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>Writes the changes of a RocksDB's files as lines, for people or for programs.</summary>
sealed class FileLines(Stream output, bool json)
{
    readonly ArrayBufferWriter<byte> line = new();

    /// <summary>Writes one change as a line, and hands it on at once.</summary>
    public void Write(FileChange change)
    {
        line.ResetWrittenCount();
        if (json) WriteJson(change);
        else Encoding.UTF8.GetBytes(Text(change), line);
        line.Write("\n"u8);
        output.Write(line.WrittenSpan);
        output.Flush();
    }

    void WriteJson(FileChange change)
    {
        using var writer = new Utf8JsonWriter(line);
        writer.WriteStartObject();
        writer.WriteNumber("lsn", change.Lsn);
        writer.WriteString("time",
            change.Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        writer.WriteString("kind", KindOf(change));
        writer.WriteString("file", change.Name);
        if (change.OtherName is { } other) writer.WriteString("new_name", other);
        switch (change.Kind)
        {
            case FileChangeKind.Appended:
                writer.WriteNumber("offset", change.Offset);
                writer.WriteNumber("bytes", change.Bytes);
                break;
            case FileChangeKind.Sealed: writer.WriteNumber("size", change.Bytes); break;
            case FileChangeKind.Truncated: writer.WriteNumber("size", change.Offset); break;
        }
        writer.WriteNumber("epoch", change.Epoch);
        writer.WriteEndObject();
    }

    static string KindOf(FileChange change) => change.Kind.ToString().ToLowerInvariant();

    static string Text(FileChange change)
    {
        var what = change.Kind switch
        {
            FileChangeKind.Appended => $"appended {change.Bytes} bytes at {change.Offset}",
            FileChangeKind.Sealed => $"sealed, {change.Bytes} bytes",
            FileChangeKind.Truncated => $"truncated to {change.Offset} bytes",
            FileChangeKind.Renamed => $"renamed to {Printable.Escape(change.OtherName!)}",
            FileChangeKind.Linked => $"linked to {Printable.Escape(change.OtherName!)}",
            _ => KindOf(change),
        };
        return string.Create(CultureInfo.InvariantCulture,
            $"{change.Lsn,12}  {TimeText.Show(change.Time)}  {Printable.Escape(change.Name)}  {what}");
    }
}
