using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Rollbacks;

/// <summary>
/// What a store's databases were taken back to, newest last: the file <c>rollbacks</c> in its directory, a JSON object
/// a line. A line says that one has begun, and another that it is done, so one that was killed shows.
/// </summary>
internal sealed class RollbackList(string storeDirectory)
{
    readonly string path = new StoreHome(storeDirectory).Rollbacks;

    /// <summary>One is about to be done.</summary>
    public void Begin(string database, DateTimeOffset at, Bookmark to)
        => Append(database, at, to, undo: null, lsn: null);

    /// <summary>One was done.</summary>
    public void Done(RollbackEntry entry) =>
        Append(entry.Database, entry.At, Bookmark.Parse(entry.To), entry.Undo, entry.Lsn);

    /// <summary>All of them. A line that is none (a file cut short by a loss of power) is passed over.</summary>
    public IReadOnlyList<RollbackEntry> Read()
    {
        var found = new List<RollbackEntry>();
        if (!File.Exists(path)) return found;
        using var lines = new StreamReader(RegularFile.OpenRead(path), Encoding.UTF8);
        while (lines.ReadLine() is { } line)
        {
            if (TryParse(line) is not { } entry) continue;
            if (entry.Undo is not null && found.FindLastIndex(b => b.Undo is null && b.Database == entry.Database
                && b.To == entry.To) is >= 0 and var begun)
                found.RemoveAt(begun);
            found.Add(entry);
        }
        return found;
    }

    void Append(string database, DateTimeOffset at, Bookmark to, string? undo, ulong? lsn)
    {
        using var line = new MemoryStream();
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteString("at", at.UtcDateTime);
            json.WriteString("database", database);
            json.WriteString("to", to.ToString());
            if (undo is not null) json.WriteString("undo", undo);
            if (lsn is { } number) json.WriteNumber("lsn", number);
            json.WriteEndObject();
        }
        line.WriteByte((byte)'\n');
        using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
        file.Write(line.ToArray());
        file.Flush(flushToDisk: true);
    }

    static RollbackEntry? TryParse(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            var root = json.RootElement;
            if (root.GetProperty("database").GetString() is not { } database
                || root.GetProperty("to").GetString() is not { } to || Bookmark.TryParse(to) is null)
                return null;
            return new RollbackEntry(
                database,
                root.GetProperty("at").GetDateTimeOffset(),
                to,
                root.TryGetProperty("undo", out var undo) ? undo.GetString() : null,
                root.TryGetProperty("lsn", out var lsn) ? lsn.GetUInt64() : null);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException
            or FormatException)
        {
            return null;
        }
    }
}
