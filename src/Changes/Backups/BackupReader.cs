using System.Text.Json;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Changes.Backups;

/// <summary>
/// Reads a backup line by line, and knows at its end whether it is whole. What it gives before that may be of a damaged
/// file: whoever uses it must be able to take it back.
/// </summary>
internal sealed class BackupReader : IDisposable
{
    readonly ProvedLines lines;

    BackupReader(ProvedLines lines, BackupHeader header) => (this.lines, Header) = (lines, header);

    /// <summary>The first line.</summary>
    public BackupHeader Header { get; }

    /// <summary>The last line, once it was read.</summary>
    public BackupEnd? End { get; private set; }

    /// <summary>Opens a file; null when it is no backup.</summary>
    public static BackupReader? TryOpen(string file)
    {
        var lines = ProvedLines.TryOpen(file, BackupHeader.Begins);
        try
        {
            return lines is null ? null : new BackupReader(lines, BackupHeader.Parse(lines.First, file));
        }
        catch
        {
            lines!.Dispose();
            throw;
        }
    }

    /// <summary>Reads a whole file. Throws Corrupt when it is not what was written.</summary>
    public static (BackupHeader Header, BackupEnd End) Verify(string file)
    {
        using var reader = TryOpen(file)
            ?? throw new RecoveryException(RecoveryError.Invalid,
                $"{file} is no backup: its first line says nothing of {BackupHeader.Name}.",
                "Give a file that `recovery export --format jsonl` wrote.")
            { Path = file };
        try
        {
            reader.CountRows();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw reader.Damaged($"a line is none that is written here ({e.Message})");
        }
        return (reader.Header, reader.End!);
    }

    /// <summary>Reads to the end, where the counts of the last line must be those of the lines.</summary>
    void CountRows()
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var (last, ofLast) = ("", 0L);
        while (TryRead(out var line))
        {
            // Lines of a table come one after the other.
            if (!IsRow(line, last, out var table)) continue;
            if (table is not null)
            {
                counts[last] = ofLast;
                (last, ofLast) = (table, counts.GetValueOrDefault(table));
            }
            ofLast++;
        }
        counts[last] = ofLast;
        foreach (var table in End!.Tables)
            if (counts.GetValueOrDefault(table.Name) != table.Rows)
                throw Damaged($"it has {counts.GetValueOrDefault(table.Name)} rows of {table.Name}, and its last line "
                    + $"tells of {table.Rows}");
    }

    /// <summary>
    /// Reads files that follow each other: a full one (or an increment), and the increments after it. Throws Corrupt,
    /// or Invalid when they do not follow.
    /// </summary>
    public static IReadOnlyList<(BackupHeader Header, BackupEnd End)> VerifyChain(IReadOnlyList<string> files)
    {
        var chain = new List<(BackupHeader Header, BackupEnd End)>();
        foreach (var file in files)
        {
            var read = Verify(file);
            if (chain.Count > 0) CheckFollows(files[chain.Count - 1], chain[^1], file, read.Header);
            chain.Add(read);
        }
        return chain;
    }

    static void CheckFollows(string earlierFile, (BackupHeader Header, BackupEnd End) earlier, string file,
        BackupHeader header)
    {
        if (header.Since is not { } since)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{file} is a full backup: it follows nothing. Put it first.");
        if (header.Log != earlier.Header.Log || header.Database != earlier.Header.Database)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{file} is of {header.Database} in another log than {earlierFile}. Give backups of one database.");
        if (since.Lsn != earlier.Header.Lsn || (since.Sha256 is not null && since.Sha256 != earlier.End.Sha256))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{file} goes on from LSN {since.Lsn} ({since.Sha256 ?? "no hash"}), and {earlierFile} ends with LSN "
                    + $"{earlier.Header.Lsn} ({earlier.End.Sha256}): one between them is missing, or they are not in "
                    + "order.");
    }

    /// <summary>Whether a line is of a row; and its table, when that is not the one of the line before.</summary>
    static bool IsRow(ReadOnlySpan<byte> line, string before, out string? table)
    {
        table = null;
        var json = new Utf8JsonReader(line);
        if (!json.Read() || !json.Read() || !json.ValueTextEquals("table"u8) || !json.Read()) return false;
        if (json.TokenType == JsonTokenType.Null) return false;
        if (!json.ValueTextEquals(before)) table = json.GetString();
        return true;
    }

    /// <summary>
    /// The next line between the first and the last; false at the end, when all of the file has proved right.
    /// </summary>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        if (lines.TryRead(out line)) return true;
        End = JsonSerializer.Deserialize(lines.Last, BackupJson.Default.BackupEnd)!;
        return End.Tables is null || End.Tables.Any(t => t?.Name is null)
            ? throw Damaged("its last line tells of no tables")
            : false;
    }

    public RecoveryException Damaged(string why) => lines.Damaged(why);

    public void Dispose() => lines.Dispose();
}
