using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// Brings pending commits into the page store, in LSN order and merged. The page store stands for a moment at every
/// version that is pinned, so that a snapshot can keep it. Used by one thread at a time.
/// </summary>
internal sealed class PageApplier(IPageStore pages, PendingCommits pending) : IDisposable
{
    const long RunBytesMax = 8L << 20;
    const long ChunkBytes = 4L << 20;

    readonly List<PendingCommit> taken = [];
    readonly List<PendingCommit> run = [];
    readonly IPageBatch batch = pages.CreateBatch();

    /// <summary>
    /// Applies some of what is ready; false when nothing is. <paramref name="makeDurable"/> is called with the LSN up
    /// to which the log must be durable first.
    /// </summary>
    public bool ApplySome(Action<ulong> makeDurable)
    {
        pending.TakeReady(RunBytesMax, taken);
        if (taken.Count == 0) return false;
        makeDurable(taken[^1].Lsn);
        var at = 0;
        while (at < taken.Count)
        {
            run.Clear();
            do run.Add(taken[at]);
            while (!MustStopAt(at++) && at < taken.Count);
            ApplyRun();
        }
        return true;
    }

    /// <summary>
    /// Whether the page store must stand exactly at this commit for a moment: a version it made is pinned and a later
    /// commit of this round replaces it (so nobody new can pin it, and asking once is enough).
    /// </summary>
    bool MustStopAt(int at)
    {
        foreach (ref readonly var part in taken[at].Parts.AsSpan())
        {
            if (part.Version is not { } version || ReferenceEquals(part.Database.Current, version)) continue;
            if (part.Database.IsPinned(version)) return true;
        }
        return false;
    }

    void ApplyRun()
    {
        foreach (var commit in run)
            foreach (ref readonly var part in commit.Parts.AsSpan())
                part.Database.KeepReadable(part.Database.Applied, pages);
        if (run.Count == 1 && run[0].PageBytes > RunBytesMax) ApplyLarge(run[0]);
        else
        {
            batch.Clear();
            new RunMerge(run).WriteTo(batch);
            pages.Apply(batch, run[^1].Lsn);
        }
        foreach (var commit in run)
            foreach (ref readonly var part in commit.Parts.AsSpan())
                if (part.Version is { } version) part.Database.Applied = version;
        pending.Remove(run);
    }

    /// <summary>
    /// A commit too large for one batch enters in pieces; only the last brings the LSN. A crash in between leaves some
    /// of its pages in place, and the replay of the commit (assignments of bytes, not differences) puts all of them
    /// there again.
    /// </summary>
    void ApplyLarge(PendingCommit commit)
    {
        batch.Clear();
        foreach (ref readonly var part in commit.Parts.AsSpan())
        {
            if (part.Overlay is not { } overlay)
            {
                batch.DeleteRange(part.Database.Id, 0, uint.MaxValue);
                continue;
            }
            RunMerge.WriteCut(batch, part.Database.Id, overlay.IsRebase ? 0 : part.Version!.PageCount,
                overlay.Basis.PageCount);
            byte[]? buffer = null;
            var sorted = overlay.Pages.ToArray();
            Array.Sort(sorted);
            foreach (var page in sorted)
            {
                var bytes = overlay.InMemory(page);
                if (bytes.IsEmpty)
                {
                    overlay.TryReadOwn(page, 0, buffer ??= new byte[overlay.PageSize]);
                    bytes = buffer;
                }
                batch.Put(part.Database.Id, page, bytes);
                if (batch.SizeBytes < ChunkBytes) continue;
                pages.Apply(batch, null);
                batch.Clear();
            }
            RunMerge.WriteHeader(batch, part.Database.Id, part.Version!);
        }
        pages.Apply(batch, commit.Lsn);
    }

    public void Dispose() => batch.Dispose();
}
