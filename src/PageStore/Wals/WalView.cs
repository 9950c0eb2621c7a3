using System.Collections.Immutable;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// The pages that the committed frames of one life of a WAL hold, kept in an unnamed file: a view of it never changes,
/// even when the WAL itself is written anew. The file goes with its last view.
/// </summary>
internal sealed class WalFrames(SpillFile file, int pageSize)
{
    public int PageSize { get; } = pageSize;

    public long SizeBytes => file.SizeBytes;

    public long Append(ReadOnlySpan<byte> page) => file.Append(page);

    /// <summary>Only of what no view has.</summary>
    public void Overwrite(long at, ReadOnlySpan<byte> page) => file.WriteAt(at, page);

    public void Read(long at, Span<byte> destination) => file.ReadAt(at, destination);
}

/// <summary>What the WAL of a followed database holds at one commit.</summary>
/// <param name="Frames">Where the pages are; the identity of the WAL's life.</param>
/// <param name="Pages">The place of each page's newest committed frame.</param>
/// <param name="SizePages">The database's size after the commit.</param>
/// <param name="Lsn">The record that completed the commit.</param>
internal sealed record WalView(WalFrames Frames, ImmutableDictionary<uint, long> Pages, uint SizePages, ulong Lsn)
{
    public bool IsEmpty => Pages.IsEmpty;

    public int PageSize => Frames.PageSize;

    public long SizeBytes => SizePages * (long)PageSize;

    /// <summary>Copies a part of a page; false when the WAL does not hold it.</summary>
    public bool TryRead(uint page, int within, Span<byte> destination)
    {
        if (!Pages.TryGetValue(page, out var at)) return false;
        Frames.Read(at + within, destination);
        return true;
    }
}
