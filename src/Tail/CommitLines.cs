using System.Buffers;
using System.Globalization;
using System.IO.Enumeration;
using System.Text;
using System.Text.Json;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>Writes commits as lines, for people or for programs.</summary>
sealed class CommitLines(Stream output, bool json, string databases, TimeProvider time)
{
    readonly ArrayBufferWriter<byte> line = new();

    /// <summary>
    /// Writes one commit as a line, and hands it on at once; passes over databases that were not asked for.
    /// </summary>
    public void Write(TailedCommit commit)
    {
        if (!FileSystemName.MatchesSimpleExpression(databases, commit.Database, ignoreCase: false)) return;
        line.ResetWrittenCount();
        var lagMs = Math.Max(0, (long)(time.GetUtcNow() - commit.Time).TotalMilliseconds);
        if (json) WriteJson(commit, lagMs);
        else Encoding.UTF8.GetBytes(Text(commit, lagMs), line);
        line.Write("\n"u8);
        output.Write(line.WrittenSpan);
        output.Flush();
    }

    void WriteJson(TailedCommit commit, long lagMs)
    {
        using var writer = new Utf8JsonWriter(line);
        writer.WriteStartObject();
        writer.WriteNumber("lsn", commit.Lsn);
        writer.WriteString("time",
            commit.Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        writer.WriteString("database", commit.Database);
        writer.WriteString("kind", KindOf(commit));
        writer.WriteNumber("pages", commit.Pages.Count);
        writer.WriteNumber("bytes", commit.Bytes);
        if (commit.PageSize > 0)
        {
            writer.WriteNumber("page_size", commit.PageSize);
            writer.WriteNumber("size", commit.SizeBytes);
        }
        if (commit.EarlierName is { } earlier) writer.WriteString("earlier_name", earlier);
        writer.WriteNumber("epoch", commit.Epoch);
        writer.WriteNumber("lag_ms", lagMs);
        writer.WriteEndObject();
    }

    static string KindOf(TailedCommit commit) => commit.Kind switch
    {
        TailedKind.WalCommit => "wal-commit",
        var kind => kind.ToString().ToLowerInvariant(),
    };

    static string Text(TailedCommit commit, long lagMs)
    {
        var when = TimeText.Show(commit.Time);
        var what = commit.Kind switch
        {
            TailedKind.Created => "created",
            TailedKind.Deleted => "deleted",
            TailedKind.Renamed => $"renamed from {Printable.Escape(commit.EarlierName!)}",
            TailedKind.Checkpoint => $"{commit.Pages.Count} pages, {commit.Bytes} bytes (checkpoint)",
            _ => $"{commit.Pages.Count} {(commit.Pages.Count == 1 ? "page" : "pages")}, {commit.Bytes} bytes",
        };
        return string.Create(CultureInfo.InvariantCulture,
            $"{commit.Lsn,12}  {when}  {Printable.Escape(commit.Database)}  {what}  lag {LagText(lagMs)}");
    }

    static string LagText(long ms) => ms switch
    {
        < 10_000 => $"{ms} ms",
        < 600_000 => $"{ms / 1000} s",
        < 36_000_000 => $"{ms / 60_000} min",
        _ => $"{ms / 3_600_000} h",
    };
}
