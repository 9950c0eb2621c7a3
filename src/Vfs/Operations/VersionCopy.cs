using RecoveryVfs.PageStore.Follow;

namespace RecoveryVfs.Operations;

/// <summary>
/// A version of a database as a plain SQLite file. (Its header says rollback mode, and no WAL is needed.)
/// </summary>
internal static class VersionCopy
{
    const int PieceBytes = 1 << 20;

    /// <summary>Writes a new file.</summary>
    public static void Write(FollowedVersion version, string path, Action<long> progressed,
        CancellationToken cancellation)
    {
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
            progressed(length);
        }
    }
}
