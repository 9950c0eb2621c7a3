using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Interop;
using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Sources;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate;

// WAL mode: transaction by transaction.
internal sealed partial class ReplicatedDatabase
{
    void TakeWal(SourceView view)
    {
        if (spare!.IsReadOnly)
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"This user may not write {path}: in WAL mode SQLite needs that of readers, too. Run as the "
                    + "application's user.")
            { Path = path };
        mark = null;
        var before = standing;
        if (gap is not null || !TryTakeBraking(view)) Join(view);
        if (MayStay(view)) spare.End();
        else
        {
            Hold();
            if (heldSalt != view.Index?.Salt) shortenAt = null;
            (heldSalt, movedAt) = (view.Index?.Salt, options.Time.GetTimestamp());
            Shorten(view);
        }
        growth.Note(standing, willBeginAnew: standing == shortened);
        KeepCheckpoints(isWritten: standing != before);
    }

    /// <summary>
    /// The same as <see cref="TryTakeTransactions"/>, but writers are held off for moments when they are faster, or
    /// when that is asked for.
    /// </summary>
    bool TryTakeBraking(SourceView view, bool atOnce = false)
    {
        if (view.Index is { } index && standing is { } known)
            brake.Begin(index, index.Frames - (index.Salt == known.Salt ? known.Position?.Frames ?? 0 : 0), atOnce);
        try
        {
            return TryTakeTransactions(view);
        }
        finally
        {
            brake.End();
        }
    }

    /// <summary>
    /// Takes what the view has beyond where the mirror stands; false when it cannot be told from the WAL what that is.
    /// </summary>
    bool TryTakeTransactions(SourceView view)
    {
        if (standing is not { } known) return Missed("it was not in WAL mode before");
        // A WAL that nothing was ever written to.
        if (view.Index is not { } index)
            return (isHolding && known.Position is null && known.Changes == 0) || Missed("its WAL is gone");
        if (index.Salt == known.Salt) return TryTakeUpTo(index, known);
        if (!isHolding) return Missed("its WAL began anew unseen");
        return TryTakeNewLife(index, known);
    }

    /// <summary>
    /// The WAL began anew while a transaction was held that had seen all of the old life. Nothing is missing if the
    /// transactions in it are as many as were made.
    /// </summary>
    bool TryTakeNewLife(in WalIndex index, Standing known)
    {
        var made = index.Changes - known.Changes;
        if (index.Frames == 0)
        {
            if (made != 0) return Missed("its WAL began anew, and what was in it is in the main file already");
            standing = new(index.Salt, index.Changes, null);
            return true;
        }
        if (!OpenWal()) return Missed("its WAL is gone");
        var pages = WalPages.Read(wal!, index.Frames);
        if (pages.End is not { } end || end.Salt != index.Salt || end.Frames != index.Frames
            || end.Checksum != index.Checksum)
            return Missed("its WAL does not go on as SQLite says");
        if (pages.Commits != made)
            return Missed($"its WAL began anew with {pages.Commits} transactions, and {made} were made");
        standing = new(index.Salt, known.Changes, null);
        return TryTakeUpTo(index, standing);
    }

    bool TryTakeUpTo(in WalIndex index, Standing known)
    {
        if (index.Frames == (known.Position?.Frames ?? 0))
        {
            if (known.Position is { } at && at.Checksum != index.Checksum)
                return Missed("its WAL is another one than before");
            standing = known with { Changes = index.Changes };
            return true;
        }
        if (index.Frames < known.Position?.Frames) return Missed("its WAL is shorter than it was");
        if (!OpenWal()) return Missed("its WAL is gone");
        wal!.Refresh();
        if ((known.Position ?? StartOf(index)) is not { } position)
            return Missed("its WAL does not begin as SQLite says");
        MirrorCommit? commit = null;
        var before = Transactions;
        try
        {
            while (position.Frames < index.Frames)
            {
                if (!wal.TryRead(ref position, out var frame)) return Missed("its WAL ends before SQLite says");
                commit ??= mirror.Begin(position.PageSize);
                commit.Write(frame.Page, frame.Bytes);
                brake.Next();
                if (commit.Written * position.PageSize > mirror.LargestCommitBytes)
                    return Missed("a transaction is more than the mirror's log takes at once (max-local-log)");
                if (!frame.IsCommit) continue;
                commit.CommitOneOfMany(frame.SizePages);
                commit = null;
                standing = known with { Position = position };
                Transactions++;
            }
            if (commit is not null || position.Checksum != index.Checksum)
                return Missed("its WAL does not end where SQLite says");
            standing = new(index.Salt, index.Changes, position);
            return true;
        }
        finally
        {
            commit?.Dispose();
            // One write for all of them.
            if (Transactions != before) mirror.WriteOut();
        }
    }

    WalPosition? StartOf(in WalIndex index) => wal!.ReadHeader() is { } header && header.Salt == index.Salt
        ? header.Start
        : null;

    bool Missed(string why)
    {
        gap = why;
        return false;
    }

    /// <summary>
    /// Opens the WAL's file; false when there is none. Nobody removes it while a transaction is held.
    /// </summary>
    bool OpenWal()
    {
        if (walFile is not null) return true;
        try
        {
            walFile = LocalDisk.Instance.Open(path + "-wal", LogFileMode.Read);
            wal = new WalReader(walFile);
            return true;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            return false;
        }
    }

    /// <summary>
    /// Compares every page with the mirror, and commits what differs: whatever was missed is one commit.
    /// </summary>
    void Join(SourceView view)
    {
        tell(new ReplicationEvent(ReplicationEventKind.Comparing, path, gap!));
        walFile?.Dispose();
        (walFile, wal) = (null, null);
        for (var tries = 1; ; tries++)
        {
            var pages = view.Index is { Frames: > 0 } index && OpenWal() ? PagesOf(index) : WalPages.None;
            using var pieces = PiecesOf(view);
            if (!new MirrorComparison(mirror, null)
                .Run(view, pages, walFile, 1, view.Pages, (page, bytes, _) => pieces.Write(page, bytes),
                () => !pieces.IsTooLarge))
            {
                mirror.BeginAnew();
                continue;
            }
            // The WAL may have begun anew meanwhile, if all of it was in the main file: then what was read at its
            // places was something else.
            if (pages.End is { } end && wal!.ReadHeader()?.Salt != end.Salt && tries < 3) continue;
            Joined(pieces, view.Pages * (long)view.PageSize, view.Pages);
            standing = new(view.Index?.Salt ?? default, view.Index?.Changes ?? 0, pages.End);
            return;
        }
    }

    /// <summary>
    /// The pages that the WAL holds for a view. None when it began anew since: then all of it is in the main file.
    /// </summary>
    WalPages PagesOf(in WalIndex index)
    {
        var pages = WalPages.Read(wal!, index.Frames);
        if (pages.End is { } end && end.Salt == index.Salt && end.Frames == index.Frames
            && end.Checksum == index.Checksum)
            return pages;
        if (wal!.ReadHeader() is not { } header || header.Salt != index.Salt) return WalPages.None;
        throw new RecoveryException(RecoveryError.Corrupt,
            $"{path}-wal is damaged: it has fewer than the {index.Frames} frames that its WAL-index counts. Nothing "
                + "was taken of it; see PRAGMA integrity_check.")
        { Path = path + "-wal" };
    }

    MirrorPieces PiecesOf(SourceView view)
    {
        var tenths = 0L;
        return new(mirror, view.PageSize, page =>
        {
            if (page * 10L / view.Pages <= tenths) return;
            tenths = page * 10L / view.Pages;
            Progress = $"{gap}; copied {tenths * 10} % of {view.Pages * (long)view.PageSize >> 20} MB";
            tell(new ReplicationEvent(ReplicationEventKind.Copying, path, Progress));
        });
    }

    void Joined(MirrorPieces pieces, long sizeBytes, uint pages)
    {
        Joins++;
        var isCopy = mirror.IsCopy;
        var isEqual = pieces.Written == 0 && mirror.Version!.SizeBytes == sizeBytes;
        var lsn = isEqual ? mirror.Complete() : pieces.Complete(pages);
        tell(isCopy ? new(ReplicationEventKind.Copied, path, $"copied whole, {pages} pages, LSN {lsn}")
            : isEqual ? new(ReplicationEventKind.Equal, path, gap!)
            : new(ReplicationEventKind.Joined, path,
                $"{gap}: {pieces.Written} pages had changed, and are one commit, LSN {lsn}"));
        (gap, Progress) = (null, null);
    }
}
