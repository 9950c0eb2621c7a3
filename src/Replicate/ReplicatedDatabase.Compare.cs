using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Sources;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate;

// A database that is in step is compared with its mirror all the same, a little at a time: that nothing was missed is
// shown, not believed.
internal sealed partial class ReplicatedDatabase
{
    uint compared;

    /// <summary>
    /// Compares the next pages, after a look that found it in step. Returns how many there were; 0 when the end was
    /// reached, and the next call begins anew. A difference is what the next look joins.
    /// </summary>
    public int CompareSome(int bytes)
    {
        if (gap is not null || spare is null || (standing is null && mark is null)) return 0;
        var reader = isHolding ? held! : spare;
        if (!isHolding) reader.BeginRead();
        try
        {
            var view = SourceView.Of(reader);
            // Somebody was faster: it is not what the mirror shows.
            if (view.Mode == SourceMode.Empty || !IsWhatMirrorShows(view)) return 1;
            var last = Math.Min(view.Pages, compared + (uint)Math.Max(1, bytes / view.PageSize));
            if (compared >= view.Pages)
            {
                compared = 0;
                return 0;
            }
            Compare(view, compared + 1, last);
            var count = (int)(last - compared);
            compared = last;
            return count;
        }
        finally
        {
            if (!isHolding) reader.End();
            wal?.Release();
        }
    }

    bool IsWhatMirrorShows(SourceView view) => view.Mode == SourceMode.Rollback ? mark == MarkOf(view)
        : standing is { } at && (view.Index?.Salt ?? default) == at.Salt
        && (view.Index?.Frames ?? 0) == (at.Position?.Frames ?? 0);

    void Compare(SourceView view, uint first, uint last)
    {
        var pages = view.Index is { Frames: > 0 } index && OpenWal() ? PagesOf(index) : WalPages.None;
        List<uint> differing = [];
        new MirrorComparison(mirror, null).Run(view, pages, walFile, first, last, (page, _, _) => differing.Add(page));
        if (differing.Count == 0 || (pages.End is { } end && wal!.ReadHeader()?.Salt != end.Salt)) return;
        gap = $"page {differing[0]} is not what the mirror has, though no change of it was seen (was the file "
            + "written without SQLite?)";
        hashes.Cut(0);
    }
}
