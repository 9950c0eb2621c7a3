namespace RecoveryVfs.Handles;

/// <summary>
/// What is known of a connection's page cache: the version (its LSN) that it was last seen to agree with. Makes the
/// pager drop its cache when it belongs to another version.
/// </summary>
/// <remarks>
/// Each time it takes SHARED, the pager compares the 16 bytes at 24 (change counter and more) with those it remembers,
/// and keeps its cache when they are equal. Under snapshots that is not enough. In locking_mode=EXCLUSIVE only the
/// first commit moves the counter, and a WAL's commits do not move it at all, so two versions can carry the same bytes;
/// and closing a WAL leaves the cache stale without telling. So when the version is not the one that the cache agreed
/// with, the answer to that read is inverted; it is used for the comparison and nothing else.
/// </remarks>
internal struct PagerCache
{
    // 0 for unknown.
    ulong validated;

    /// <summary>
    /// Looks at what a read under a lock has found, and changes the answer to the pager's comparison if it must.
    /// </summary>
    public void Validate(Span<byte> found, long offset, int code, ulong lsn)
    {
        if (found.Length == 16 && offset == 24)
        {
            if (code == Sqlite.Ok && validated != lsn)
                foreach (ref var b in found) b = (byte)~b;
            validated = lsn;
        }
        else if (validated == 0 && found.Length >= 512) validated = lsn;
    }

    /// <summary>The cache holds what this connection has just written.</summary>
    public void AgreesWith(ulong lsn) => validated = lsn;
}
