using System.Security.Cryptography;
using System.Text.Json;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Changes.Backups;

/// <summary>
/// Lines that a <see cref="LinesWriter"/> wrote: whether they are whole is known at their end. What comes before that
/// may be of a damaged file: whoever uses it must be able to take it back.
/// </summary>
internal sealed class ProvedLines : IDisposable
{
    readonly IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly BackupLines lines;
    long count;

    ProvedLines(BackupLines lines, ReadOnlySpan<byte> first)
    {
        this.lines = lines;
        First = first.ToArray();
        sha.AppendData(first);
        sha.AppendData("\n"u8);
    }

    /// <summary>The first line.</summary>
    public byte[] First { get; }

    /// <summary>The last line, once it was read and all before it has proved right.</summary>
    public byte[]? Last { get; private set; }

    /// <summary>Opens a file; null when it has no line that begins so.</summary>
    public static ProvedLines? TryOpen(string file, ReadOnlySpan<byte> begins)
    {
        // Where a link leads is the caller's to decide; a pipe would be waited for.
        var stream = RegularFile.OpenRead(File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file);
        var lines = new BackupLines(file, stream);
        try
        {
            // Anything may be asked: what begins otherwise may have no lines.
            var start = new byte[begins.Length];
            var isOne = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length
                && start.AsSpan().SequenceEqual(begins);
            stream.Position = 0;
            if (isOne && lines.TryRead(out var line)) return new ProvedLines(lines, line);
            lines.Dispose();
            return null;
        }
        catch
        {
            lines.Dispose();
            throw;
        }
    }

    /// <summary>The next line between the first and the last; false at the end.</summary>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        if (!lines.TryRead(out line)) throw Damaged("it ends before its last line");
        if (line.StartsWith("{\"end\":true"u8))
        {
            TakeEnd(line);
            line = default;
            return false;
        }
        sha.AppendData(line);
        sha.AppendData("\n"u8);
        count++;
        return true;
    }

    void TakeEnd(ReadOnlySpan<byte> line)
    {
        LinesEnd end;
        try
        {
            end = JsonSerializer.Deserialize(line, BackupJson.Default.LinesEnd)!;
        }
        catch (JsonException e)
        {
            throw Damaged($"its last line makes no sense ({e.Message})");
        }
        Last = line.ToArray();
        var hash = Convert.ToHexStringLower(sha.GetHashAndReset());
        if (end.Sha256 != hash) throw Damaged($"its SHA-256 is {hash}, and its last line says {end.Sha256}");
        if (end.Lines != count) throw Damaged($"it has {count} lines, and its last line tells of {end.Lines}");
        if (lines.TryRead(out _)) throw Damaged("there is more after its last line");
    }

    public RecoveryException Damaged(string why) => lines.Damaged(why);

    public void Dispose()
    {
        sha.Dispose();
        lines.Dispose();
    }
}

/// <summary>What every last line tells.</summary>
internal sealed record LinesEnd(long Lines, string Sha256);
