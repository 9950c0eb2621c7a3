using System.Text;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;

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
    const string FirstLine = "This is a RecoveryVfs database.";
    const int SizeMax = 8192;

    /// <summary>Looks at a path without changing anything.</summary>
    public static Stub Read(string path)
    {
        var bytes = new byte[SizeMax];
        int count;
        try
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            count = RandomAccess.Read(file, bytes, 0);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return new(PathContent.Missing, null, null);
        }
        catch (UnauthorizedAccessException) when (Directory.Exists(path))
        {
            return new(PathContent.Foreign, null, null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.CannotOpen, $"Cannot read {path}: {e.Message}", e);
        }
        var content = bytes.AsSpan(0, count);
        if (content.IsEmpty) return new(PathContent.Empty, null, null);
        if (content.StartsWith("SQLite format 3\0"u8)) return new(PathContent.PlainDatabase, null, null);
        var text = Encoding.UTF8.GetString(content);
        if (!text.StartsWith(FirstLine, StringComparison.Ordinal)) return new(PathContent.Foreign, null, null);
        var store = Value(text, "store: ");
        var database = Value(text, "database: ");
        if (store is null || database is null) return new(PathContent.Foreign, null, null);
        return new(PathContent.Stub, Path.GetFullPath(store, Path.GetDirectoryName(path)!), database);
    }

    static string? Value(string text, string name)
    {
        foreach (var line in text.Split('\n'))
            if (line.StartsWith(name, StringComparison.Ordinal)) return line[name.Length..].TrimEnd('\r');
        return null;
    }

    /// <summary>Puts the stub in place, at once or not at all. A failure is reported and changes nothing: the database does not need it.</summary>
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
        var temporary = path + ".recovery-stub";
        try
        {
            File.WriteAllText(temporary, text);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
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
