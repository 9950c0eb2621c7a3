namespace RecoveryVfs.Replicate.Wals;

/// <summary>One page as a transaction left it.</summary>
/// <remarks>
/// <code>
///   0             4                            8       12      16          20          24
///   | page number | pages after commit, or 0   | salt1 | salt2 | checksum1 | checksum2 | page        all big-endian
/// </code>
/// </remarks>
internal readonly ref struct WalFrame(uint page, uint sizePages, long offset, ReadOnlySpan<byte> bytes)
{
    /// <summary>How long its header is.</summary>
    public const int HeaderBytes = 24;

    /// <summary>The page's number, from 1.</summary>
    public readonly uint Page = page;

    /// <summary>The database's size after the commit that this frame ends; 0 when it ends none.</summary>
    public readonly uint SizePages = sizePages;

    /// <summary>Where the page's bytes are in the WAL.</summary>
    public readonly long Offset = offset;

    /// <summary>The page's bytes. Valid until the next frame is read.</summary>
    public readonly ReadOnlySpan<byte> Bytes = bytes;

    /// <summary>Whether it ends a transaction.</summary>
    public bool IsCommit => SizePages != 0;
}
