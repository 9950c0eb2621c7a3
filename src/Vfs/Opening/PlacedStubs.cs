using System.Globalization;
using System.Text;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Opening;

/// <summary>
/// Which stubs a store has seen in place: the file <c>stubs</c> in its directory, a line each. A database whose stub
/// was in place and is gone was deleted by whoever removed it (rm, EF Core's EnsureDeleted); one whose stub never was
/// is a restored one, or one that a crash has caught before its stub.
/// </summary>
/// <remarks>
/// <code>
/// DATABASE-ID DEVICE:INODE PATH      (numbers in hex; the directory's own at that time; a path beside the store is only the name)
/// </code>
/// A copied or restored directory has another inode, so that its lines say nothing: there the stubs come back, as they
/// do when the file itself is lost. That is also why a line is appended and not synced. Lines are only ever added.
/// </remarks>
internal static class PlacedStubs
{
    const string FileName = "stubs";
    const long SizeMax = 64 << 20;

    /// <summary>Notes that a stub is in place.</summary>
    public static void Add(string store, uint database, string path)
    {
        if (LineOf(store, database, path) is not { } line) return;
        var file = Path.Combine(store, FileName);
        try
        {
            using var log =
                LocalDisk.Instance.Open(file, LocalDisk.Instance.Exists(file) ? LogFileMode.Write : LogFileMode.Create);
            log.Write(log.SizeBytes, Encoding.UTF8.GetBytes(line + "\n"));
        }
        catch (RecoveryException)
        {
            // Without it a removed stub comes back, and nothing is lost.
        }
    }

    /// <summary>Whether the stub of a database was seen in place at a path, by this very directory.</summary>
    public static bool Has(string store, uint database, string path)
    {
        var file = Path.Combine(store, FileName);
        if (LineOf(store, database, path) is not { } line
            || FileNode.At(file) is not { IsRegular: true, SizeBytes: < SizeMax } node)
            return false;
        using var log = LocalDisk.Instance.Open(file, LogFileMode.Read);
        var bytes = new byte[node.SizeBytes];
        return Encoding.UTF8.GetString(bytes.AsSpan(0, log.Read(0, bytes))).Split('\n').Contains(line);
    }

    static string? LineOf(string store, uint database, string path) => FileNode.At(store, follow: true) is not { } node
        ? null
        : string.Create(CultureInfo.InvariantCulture,
        $"{database:x} {node.Device:x}:{node.Inode:x} "
            + $"{(Path.GetDirectoryName(path) == Path.GetDirectoryName(store) ? Path.GetFileName(path) : path)}");
}
