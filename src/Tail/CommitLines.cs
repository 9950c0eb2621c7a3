using System.Globalization;
using System.IO.Enumeration;
using System.Text.Json;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>Writes the commits of those databases as lines.</summary>
sealed class CommitLines(Stream output, bool json, string databases, TimeProvider time)
    : Lines<TailedCommit>(output, json)
{
    protected override bool IsWanted(TailedCommit commit) =>
        FileSystemName.MatchesSimpleExpression(databases, commit.Database, ignoreCase: false);

    long LagMs(TailedCommit commit) => Math.Max(0, (long)(time.GetUtcNow() - commit.Time).TotalMilliseconds);

    protected override void WriteFields(Utf8JsonWriter writer, TailedCommit commit)
    {
        writer.WriteNumber("lsn", commit.Lsn);
        WriteTime(writer, commit.Time);
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
        writer.WriteNumber("lag_ms", LagMs(commit));
    }

    static string KindOf(TailedCommit commit) => commit.Kind switch
    {
        TailedKind.WalCommit => "wal-commit",
        var kind => kind.ToString().ToLowerInvariant(),
    };

    protected override string Text(TailedCommit commit)
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
            $"{commit.Lsn,12}  {when}  {Printable.Escape(commit.Database)}  {what}  lag {LagText(LagMs(commit))}");
    }

    static string LagText(long ms) => ms switch
    {
        < 10_000 => $"{ms} ms",
        < 600_000 => $"{ms / 1000} s",
        < 36_000_000 => $"{ms / 60_000} min",
        _ => $"{ms / 3_600_000} h",
    };
}
