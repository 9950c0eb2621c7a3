using System.Text;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Opening;

/// <summary>What lies at a database's path.</summary>
internal enum PathContent
{
    Missing,
    Empty,
    Stub,
    PlainDatabase,
    Foreign,
}

/// <summary>
/// The small text file at a database's path: it shows that the database is there, tells people what it is, and a plain SQLite that opens
/// it by mistake gets "file is not a database". It names the store and the database in it, so it may be renamed.
/// </summary>
/// <remarks>
/// <code>
/// This is a RecoveryVfs database. Its pages are in the store named below, not in this file.
/// store: .recovery          (relative to this file's directory, or absolute)
/// database: a.db
/// ...
/// </code>
/// It is written after the database's first commit is durable (an empty file lies there before), so a stub whose database
/// the store does not know means that something was lost or moved, and is refused.
/// </remarks>
internal readonly record struct Stub(PathContent Content, string? Store, string? Database)
{
    /// <summary>The file itself; null when there is none.</summary>
    public FileNode? Node { get; private init; }

    /// <summary>What lies there when it is no file.</summary>
    public string? Kind { get; private init; }

    const string FirstLine = "This is a RecoveryVfs database.";
    const int SizeMax = 8192;

    /// <summary>Looks at a path without changing anything.</summary>
    public static Stub Read(string path)
    {
        // Looked at before it is opened: a pipe would wait, a device may act. And again as it is open, by the disk.
        if (FileNode.At(path) is not { } node) return new(PathContent.Missing, null, null);
        if (!node.IsRegular) return new(PathContent.Foreign, null, null) { Kind = node.Kind };
        var bytes = new byte[SizeMax];
        int count;
        try
        {
            using var file = LocalDisk.Instance.Open(path, LogFileMode.Read);
            count = file.Read(0, bytes);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            return new(PathContent.Missing, null, null);
        }
        return Parse(path, bytes.AsSpan(0, count)) with { Node = node };
    }

    static Stub Parse(string path, ReadOnlySpan<byte> content)
    {
        if (content.IsEmpty) return new(PathContent.Empty, null, null);
        if (content.StartsWith("SQLite format 3\0"u8)) return new(PathContent.PlainDatabase, null, null);
        var text = Encoding.UTF8.GetString(content);
        if (!text.StartsWith(FirstLine, StringComparison.Ordinal)) return new(PathContent.Foreign, null, null);
        var store = Value(text, "store: ");
        var database = Value(text, "database: ");
        if (store is null || database is null) return new(PathContent.Foreign, null, null);
        return new(PathContent.Stub, Path.GetFullPath(store, Path.GetDirectoryName(path)!), database);
    }

    /// <summary>Whether the store is in the stub's own directory.</summary>
    public bool IsBeside(string path) => Store is { } store && (Path.GetDirectoryName(path)!.TrimEnd('/') + "/") is var own && store.StartsWith(own, StringComparison.Ordinal);

    static string? Value(string text, string name)
    {
        foreach (var line in text.Split('\n'))
            if (line.StartsWith(name, StringComparison.Ordinal)) return line[name.Length..].TrimEnd('\r');
        return null;
    }

    /// <summary>
    /// Puts the stub in the place of nothing, an empty file or another stub, at once or not at all. A failure is reported and changes nothing: the database
    /// does not need it.
    /// </summary>
    public static void Write(string path, string store, string database)
    {
        var directory = Path.GetDirectoryName(path)!;
        var relative = Path.GetDirectoryName(store) == directory ? Path.GetFileName(store) : store;
        var text = $"""
            {FirstLine} Its pages are in the store named below, not in this file.
            store: {relative}
            database: {database}

            Open it with   file:{Path.GetFileName(path)}?vfs=recovery
            Copy it out    recovery export {Path.GetFileName(path)} copy.db
            Do not edit or delete this file; to delete the database: recovery delete {Path.GetFileName(path)}

            """;
        try
        {
            if (FilePlacing.TryPlace(path, Encoding.UTF8.GetBytes(text), static old => old.Length == 0 || Encoding.UTF8.GetString(old).StartsWith(FirstLine, StringComparison.Ordinal))) return;
            Failures.Report(Sqlite.IoErrWrite, $"{path} is another program's by now, and was left as it is. The database {database} is in {store}: move {path} away, and open the database again.");
        }
        catch (RecoveryException e)
        {
            Failures.Report(Sqlite.IoErrWrite, $"Cannot write the stub {path} of a database in {store}: {e.Message} The database itself is fine.");
        }
    }

    /// <summary>Takes the stub, or the empty file before it, away.</summary>
    public static void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.IoWrite, $"The database is deleted, but not the stub {path}: {e.Message}", e);
        }
    }
}
