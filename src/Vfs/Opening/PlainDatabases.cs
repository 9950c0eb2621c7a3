using System.Collections.Concurrent;
using System.Text;
using RecoveryVfs.Handles;

namespace RecoveryVfs.Opening;

/// <summary>
/// Databases that come to this VFS only because it is the default one, and are none of ours: they go to the system's
/// VFS with their journals and WALs. A backup or the target of VACUUM INTO that lay in a store of its own beside a stub
/// would hold nothing for whoever copies it.
/// </summary>
/// <remarks>
/// Not asked for by name (<c>vfs=recovery</c>, or any option of ours), such a path is the system's when a plain
/// database lies there; and when nothing does, no store is in its directory, and this process has used a store before:
/// then it is somebody's target. The first database of a process, in a directory without a store, is what the default
/// was set for, and makes one.
/// </remarks>
internal static class PlainDatabases
{
    static readonly ConcurrentDictionary<byte[], bool> paths = new(PathKeys.Comparer);
    static readonly ConcurrentDictionary<byte[],
        bool>.AlternateLookup<ReadOnlySpan<byte>> byBytes = paths.GetAlternateLookup<ReadOnlySpan<byte>>();

    /// <summary>Whether this process has opened any.</summary>
    public static bool Any => !paths.IsEmpty;

    /// <summary>Whether a database that was not asked for by our name goes to the system's VFS.</summary>
    public static bool Takes(ReadOnlySpan<byte> key)
    {
        if (OpenDatabases.Find(key) is not null || !DatabasePath.IsText(key)) return false;
        var path = Encoding.UTF8.GetString(key);
        var isPlain = Stub.Read(path).Content switch
        {
            PathContent.PlainDatabase => true,
            PathContent.Missing or PathContent.Empty => StoreRegistry.HasOpened && Options.Process.Store is null
                && !Directory.Exists(Path.Combine(Path.GetDirectoryName(path)!, ".recovery")),
            _ => false,
        };
        if (isPlain) paths.TryAdd(key.ToArray(), true);
        else paths.TryRemove(key.ToArray(), out _);
        return isPlain;
    }

    /// <summary>Whether a file is the journal or WAL of one.</summary>
    public static bool OwnsCompanion(ReadOnlySpan<byte> path) => Any
        && (path.EndsWith(Companions.JournalSuffixBytes)
        && byBytes.ContainsKey(path[..^Companions.JournalSuffix.Length])
            || path.EndsWith(Companions.WalSuffixBytes) && byBytes.ContainsKey(path[..^Companions.WalSuffix.Length]));
}
