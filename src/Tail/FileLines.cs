using System.Globalization;
using System.Text.Json;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>Writes the changes of a RocksDB's files as lines.</summary>
sealed class FileLines(Stream output, bool json) : Lines<FileChange>(output, json)
{
    protected override void WriteFields(Utf8JsonWriter writer, FileChange change)
    {
        writer.WriteNumber("lsn", change.Lsn);
        WriteTime(writer, change.Time);
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
    }

    static string KindOf(FileChange change) => change.Kind.ToString().ToLowerInvariant();

    protected override string Text(FileChange change)
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
