using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Sources;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate;

// Rollback modes: what changed in the file since it was last looked at is one commit.
internal sealed partial class ReplicatedDatabase
{
    /// <summary>Up to this size a file is read under its SHARED lock: it takes some milliseconds.</summary>
    const long SmallBytes = 16 << 20;

    const int TriesWithoutLock = 4;

    void TakeFile(SourceView view)
    {
        try
        {
            var now = MarkOf(view);
            if (gap is null && mark == now) return;
            if (view.Mode == SourceMode.Empty || view.Pages * (long)view.PageSize <= SmallBytes)
                TakeLocked(view, now, null);
            else TakeLarge(view, now);
        }
        finally
        {
            spare!.End();
        }
    }

    FileMark MarkOf(SourceView view)
    {
        var file = new FileInfo(path);
        return new(view.ChangeCounter, file.Exists ? file.Length : 0, file.Exists ? file.LastWriteTimeUtc : default,
            view.Pages, view.PageSize);
    }

    /// <summary>
    /// A large file is read without its lock first, so that no writer waits. What seems changed is read again under the
    /// lock, if nobody has committed meanwhile. When somebody always has, all is read under the lock in the end.
    /// </summary>
    void TakeLarge(SourceView view, FileMark now)
    {
        for (var tries = 0; tries < TriesWithoutLock; tries++)
        {
            spare!.End();
            if (mirror.IsCopy && tries == 0) CopyUnlocked(view);
            List<uint> candidates = [];
            new MirrorComparison(mirror, hashes)
                .Run(view, WalPages.None, null, 1, view.Pages, (page, _, _) => candidates.Add(page));
            spare.BeginRead();
            view = SourceView.Of(spare);
            var after = MarkOf(view);
            if (after == now)
            {
                TakeLocked(view, now, candidates);
                return;
            }
            now = after;
            if (view.Mode != SourceMode.Rollback)
                throw new RecoveryException(RecoveryError.Busy,
                    $"{path} has changed its journal mode just now; it is looked at again.")
                { Path = path };
        }
        TakeLocked(view, now, null);
    }

    /// <summary>
    /// Most of a first copy: nobody sees it before it is whole, so what is written meanwhile may be in it half.
    /// </summary>
    void CopyUnlocked(SourceView view)
    {
        using var pieces = PiecesOf(view);
        new MirrorComparison(mirror, null)
            .Run(view, WalPages.None, null, 1, view.Pages, (page, bytes, _) => pieces.Write(page, bytes));
        pieces.CommitRest(view.Pages);
    }

    void TakeLocked(SourceView view, FileMark now, List<uint>? candidates)
    {
        if (view.Mode == SourceMode.Empty)
        {
            TakeEmpty(now);
            return;
        }
        if (gap is not null) tell(new ReplicationEvent(ReplicationEventKind.Comparing, path, gap));
        using var pieces = PiecesOf(view);
        List<(uint Page, ulong Hash)> changed = [];
        void Differs(uint page, ReadOnlySpan<byte> bytes, ulong hash)
        {
            pieces.Write(page, bytes);
            changed.Add((page, hash));
        }
        var comparison = new MirrorComparison(mirror, hashes);
        bool GoOn() => !pieces.IsTooLarge;
        if (candidates is null) comparison.Run(view, WalPages.None, null, 1, view.Pages, Differs, GoOn);
        else foreach (var page in candidates.TakeWhile(_ => GoOn()))
            comparison.Run(view, WalPages.None, null, page, page, Differs);
        spare!.End();
        if (pieces.IsTooLarge) CopyNextTime();
        var size = view.Pages * (long)view.PageSize;
        if (gap is not null) Joined(pieces, size, view.Pages);
        else if (pieces.Written > 0 || mirror.Version!.SizeBytes != size)
        {
            pieces.Complete(view.Pages);
            Transactions++;
        }
        foreach (var (page, hash) in changed) hashes[page] = hash;
        hashes.Cut(view.Pages);
        mark = now;
    }

    /// <summary>More has changed than one commit can be: it is copied anew, in pieces, and not under a lock.</summary>
    void CopyNextTime()
    {
        gap = "more has changed than the mirror's log takes at once (max-local-log)";
        hashes.Cut(0);
        mirror.BeginAnew();
        throw new RecoveryException(RecoveryError.Busy, $"{path}: {gap}. It is copied anew.")
        { Path = path };
    }

    /// <summary>A file without a page: the application has not begun, or has emptied it.</summary>
    void TakeEmpty(FileMark now)
    {
        if (mirror.Version is { SizeBytes: > 0, PageSize: var pageSize })
        {
            using var commit = mirror.Begin(pageSize);
            commit.Commit(0);
        }
        mirror.DropCopy();
        hashes.Cut(0);
        (gap, mark) = (null, now);
    }
}
