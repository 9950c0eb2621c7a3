using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>
/// A hash of each page of a mirror: eight bytes a page, so that a whole file is compared by reading it once and nothing
/// else.
/// </summary>
internal sealed class PageHashes
{
    ulong[] hashes = [];

    public static ulong Of(uint page, ReadOnlySpan<byte> bytes) => PageCommitFormat.HashOf(page, bytes);

    /// <summary>What is known of a page; 0 when nothing is.</summary>
    public ulong this[uint page]
    {
        get => page <= hashes.Length ? hashes[page - 1] : 0;
        set
        {
            if (page > hashes.Length) Array.Resize(ref hashes, (int)Math.Max(page, hashes.Length + hashes.Length / 8L));
            hashes[page - 1] = value;
        }
    }

    /// <summary>Forgets the pages beyond a size.</summary>
    public void Cut(uint pages)
    {
        if (pages < hashes.Length) Array.Clear(hashes, (int)pages, hashes.Length - (int)pages);
    }
}
