using System.Security.Cryptography;
using System.Text.Json;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Changes.Backups;

/// <summary>
/// Reads a backup line by line, and knows at its end whether it is whole. What it gives before that may be of a damaged
/// file: whoever uses it must be able to take it back.
/// </summary>
internal sealed class BackupReader : IDisposable
{
    readonly IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly BackupLines lines;
    long count;

    BackupReader(BackupLines lines, BackupHeader header, ReadOnlySpan<byte> first)
    {
        (this.lines, Header) = (lines, header);
        sha.AppendData(first);
        sha.AppendData("\n"u8);
    }

    /// <summary>The first line.</summary>
    public BackupHeader Header { get; }

    /// <summary>The last line, once it was read.</summary>
    public BackupEnd? End { get; private set; }

    /// <summary>Opens a file; null when it is no backup.</summary>
    public static BackupReader? TryOpen(string file)
    {
        var lines = new BackupLines(file, new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, 1));
        try
        {
            if (lines.TryRead(out var line) && BackupHeader.TryParse(line, file) is { } header)
                return new BackupReader(lines, header, line);
            lines.Dispose();
            return null;
        }
        catch
        {
            lines.Dispose();
            throw;
        }
    }

    /// <summary>Reads a whole file. Throws Corrupt when it is not what was written.</summary>
    public static (BackupHeader Header, BackupEnd End) Verify(string file)
    {
        using var reader = TryOpen(file)
            ?? throw new RecoveryException(RecoveryError.Invalid,
                $"{file} is no backup: its first line says nothing of {BackupHeader.Name}.");
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var (last, ofLast) = ("", 0L);
        while (reader.TryRead(out var line))
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
        foreach (var table in reader.End!.Tables)
            if (counts.GetValueOrDefault(table.Name) != table.Rows)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"{file} is damaged: it has {counts.GetValueOrDefault(table.Name)} rows of {table.Name}, and its "
                        + $"last line tells of {table.Rows}. Use another copy.");
        return (reader.Header, reader.End);
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
        if (!lines.TryRead(out line)) throw Damaged("it ends before its last line");
        if (line.StartsWith("{\"end\":true"u8))
        {
            TakeEnd(line);
            line = default;
            return false;
        }
        sha.AppendData(lines.LastWithEnd);
        count++;
        return true;
    }

    void TakeEnd(ReadOnlySpan<byte> line)
    {
        try
        {
            End = JsonSerializer.Deserialize(line, BackupJson.Default.BackupEnd)!;
        }
        catch (JsonException e)
        {
            throw Damaged($"its last line makes no sense ({e.Message})");
        }
        var hash = Convert.ToHexStringLower(sha.GetHashAndReset());
        if (End.Sha256 != hash) throw Damaged($"its SHA-256 is {hash}, and its last line says {End.Sha256}");
        if (End.Lines != count) throw Damaged($"it has {count} lines, and its last line tells of {End.Lines}");
        if (lines.TryRead(out _)) throw Damaged("there is more after its last line");
    }

    public RecoveryException Damaged(string why) => lines.Damaged(why);

    public void Dispose()
    {
        sha.Dispose();
        lines.Dispose();
    }
}
