using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Cli;

/// <summary>
/// A version of a database as a plain SQLite file. (Its header says rollback mode, and no WAL is needed.)
/// </summary>
internal static class PlainCopy
{
    const int PieceBytes = 1 << 20, Private = 0x1C0; // 0700

    /// <summary>Writes a new file, in a new directory that only this user may read; returns its path.</summary>
    public static string Write(FollowedVersion version, string directory, CancellationToken cancellation)
    {
        LocalDisk.Instance.CreateDirectory(directory, Private);
        var path = Path.Combine(directory, "database");
        using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write);
        var piece = new byte[PieceBytes];
        for (long at = 0; at < version.SizeBytes;)
        {
            cancellation.ThrowIfCancellationRequested();
            var length = (int)Math.Min(piece.Length, version.SizeBytes - at);
            var read = version.Read(at, piece.AsSpan(0, length));
            piece.AsSpan(read, length - read).Clear();
            RandomAccess.Write(file, piece.AsSpan(0, length), at);
            at += length;
        }
        return path;
    }
}
