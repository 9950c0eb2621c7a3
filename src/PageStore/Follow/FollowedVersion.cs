using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Wals;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// A database of a follower as one commit left it, until it is disposed. Its header says rollback mode whatever mode
/// the writer uses: the WAL, if there is one, is read through here.
/// </summary>
public sealed class FollowedVersion : IDisposable
{
    // Bytes 18 and 19 of the first page: 2 in WAL mode, 1 else.
    const int VersionsAt = 18, VersionsBytes = 2;
    const byte WalVersion = 2, RollbackVersion = 1;

    readonly Database database;
    readonly DatabaseVersion main;
    readonly WalView? wal;
    bool disposed;

    internal FollowedVersion(Database database, DatabaseVersion main, WalView? wal)
    {
        (this.database, this.main) = (database, main);
        this.wal = wal is { IsEmpty: false } ? wal : null;
    }

    /// <summary>The database's number in its store.</summary>
    public uint DatabaseId => database.Id;

    /// <summary>The LSN of the newest commit in it.</summary>
    public ulong Lsn => wal is null ? main.Lsn : Math.Max(main.Lsn, wal.Lsn);

    /// <summary>The size of the file.</summary>
    public long SizeBytes => wal?.SizeBytes ?? main.SizeBytes;

    /// <summary>The size of a page in bytes; 0 while nothing was written.</summary>
    public int PageSize => wal?.PageSize ?? main.PageSize;

    /// <summary>Whether it was deleted since.</summary>
    public bool IsDeleted => database.IsDeleted;

    /// <summary>
    /// Copies bytes into <paramref name="destination"/>; returns how many there were (fewer only at the end of the
    /// file).
    /// </summary>
    public int Read(long offset, Span<byte> destination)
    {
        var count = wal is null ? database.Read(main, offset, destination) : ReadThroughWal(wal, offset, destination);
        if (offset < VersionsAt + VersionsBytes) HideWal(offset, destination[..count]);
        return count;
    }

    int ReadThroughWal(WalView view, long offset, Span<byte> destination)
    {
        var total = (int)Math.Clamp(view.SizeBytes - offset, 0, destination.Length);
        for (var done = 0; done < total;)
        {
            var at = offset + done;
            var within = (int)(at % view.PageSize);
            var part = destination.Slice(done, Math.Min(view.PageSize - within, total - done));
            if (!view.TryRead((uint)(at / view.PageSize) + 1, within, part))
                part[database.Read(main, at, part)..].Clear();
            done += part.Length;
        }
        return total;
    }

    static void HideWal(long offset, Span<byte> bytes)
    {
        for (var at = VersionsAt; at < VersionsAt + VersionsBytes; at++)
            if (at - offset is var i && i >= 0 && i < bytes.Length && bytes[(int)i] == WalVersion)
                bytes[(int)i] = RollbackVersion;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        database.Unpin(main);
    }
}
