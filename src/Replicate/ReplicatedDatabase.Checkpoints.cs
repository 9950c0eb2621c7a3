using System.Diagnostics;
using RecoveryVfs.Replicate.Interop;
using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Sources;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate;

// A read mark that is always held keeps the WAL from ever beginning anew, so whoever holds it sees to it that it does.
internal sealed partial class ReplicatedDatabase
{
    /// <summary>
    /// Frames that are brought into the main file with the write lock held: some milliseconds, most of it the disk's
    /// syncs.
    /// </summary>
    const int MostHeldOff = 400;

    /// <summary>
    /// So few are brought over with the write lock at once; for more it is tried beside the writers again.
    /// </summary>
    const int FewFrames = 100;

    const int MostPasses = 3;

    const long MostCopiedBytes = 64 << 20;

    /// <summary>From so many frames on, SQLite itself tries to checkpoint at every commit of the application.</summary>
    const int OwnCheckpointFrames = 1000;

    /// <summary>A fast writer is held off only when its WAL has grown to so many times what it is to have.</summary>
    const int MostTimes = 5;

    /// <summary>From so many times on it is tried at all costs but a second of the application's time.</summary>
    const int AtAllCostsTimes = 16;

    static readonly TimeSpan LongestStay = TimeSpan.FromSeconds(1), LongestWait = TimeSpan.FromSeconds(1);

    /// <summary>An application that checkpoints itself, at each commit of a long WAL, is soon done.</summary>
    static readonly TimeSpan CheckpointPatience = TimeSpan.FromMilliseconds(20);

    // Where it stood when that was done last: an idle WAL is left alone.
    Standing? shortened;
    // The life of the WAL in which the mark was moved last, and when.
    WalSalt? heldSalt;
    long movedAt;
    // Frames at which it is tried again, in this life of the WAL.
    uint? shortenAt;
    // Held while the application writes fast: its own checkpoints would cost it more than they are worth.
    CheckpointLock? checkpoints;

    /// <summary>
    /// Whether the mark stays where it is, though newer transactions were read. Where it stands, a long WAL costs the
    /// application nothing but a question at each commit; each time it moves, the application's next commit brings into
    /// the main file what that lets go, and waits for the disk. It is moved now and then all the same: whoever wants to
    /// truncate the WAL waits for it.
    /// </summary>
    bool MayStay(SourceView view) => isHolding && view.Index is { } index && index.Salt == heldSalt
        && index.Frames >= OwnCheckpointFrames && index.Frames < ShortenAt
        && options.Time.GetElapsedTime(movedAt) < LongestStay;

    uint ShortenAt => shortenAt ?? (uint)options.CheckpointFrames;

    /// <summary>Whether it keeps others from checkpointing; then it is looked at again soon.</summary>
    public bool KeepsCheckpoints => checkpoints is not null;

    /// <summary>
    /// Keeps others from checkpointing while the WAL is long, or will be before the next look. It lets go when nothing
    /// comes any more.
    /// </summary>
    void KeepCheckpoints(bool isWritten)
    {
        var frames = standing?.Position?.Frames ?? 0;
        // A few frames between two looks that came close to each other tell nothing of how fast it is.
        var isLong = frames > OwnCheckpointFrames / 2
            || (frames > FewFrames && growth.Until(OwnCheckpointFrames) < options.LookInterval);
        if (!isWritten || !isLong) LetCheckpoint();
        else checkpoints ??= CheckpointLock.TryTake(held!);
    }

    void LetCheckpoint()
    {
        checkpoints?.Release();
        checkpoints = null;
    }

    /// <summary>
    /// When the WAL has grown: brings it into the main file, and holds a transaction that needs nothing of it, so that
    /// the next writer begins it anew. Writers are not held off but for the last few frames, and only when they come
    /// faster than it can be done beside them.
    /// </summary>
    void Shorten(SourceView view)
    {
        if (view.Index is not { } index || standing is null || standing == shortened) return;
        if (index.Frames < ShortenAt) return;
        // The next time is later, if it does not succeed now: not so much later that the WAL would grow without bound.
        shortenAt = index.Frames + (uint)options.CheckpointFrames * MostTimes;
        var (atAllCosts, isOverdue) = (index.Frames >= options.CheckpointFrames * AtAllCostsTimes,
            index.Frames >= options.CheckpointFrames * MostTimes);
        for (var pass = 1; ; pass++)
        {
            if (Checkpoint(spare!) is not { } done)
            {
                if (!atAllCosts) return;
                break;
            }
            // What SQLite would sync with the writers held off is synced before.
            spare!.SyncMain();
            spare.BeginRead();
            var now = SourceView.Of(spare);
            var left = now.Index is { } after && after.Salt == index.Salt ? after.Frames - done.Done : 0;
            // Those who still come faster than they are read are held off: what is left is copied then, not read.
            if (pass == MostPasses && left > FewFrames && (left <= MostHeldOff || isOverdue))
            {
                spare.End();
                break;
            }
            if (!TryTakeBraking(now, atOnce: isOverdue && left > MostHeldOff)) Join(now);
            Hold();
            shortened = standing;
            // Everything is in the main file, and was when this transaction began: it stands in nobody's way.
            if (left == 0) return;
            if (left <= FewFrames) break;
            // They are faster than this: it waits for a quieter moment, though not for ever.
            if (left > MostHeldOff && !isOverdue) return;
        }
        HoldOffAndShorten(atAllCosts ? LongestWait : null);
    }

    /// <summary>Null when somebody else is at it for longer than a moment.</summary>
    (int Frames, int Done)? Checkpoint(SqliteHandle connection)
    {
        var kept = checkpoints is not null;
        LetCheckpoint();
        for (var started = Stopwatch.GetTimestamp(); ;)
        {
            if (connection.Checkpoint(SqliteResult.CheckpointPassive) is { } done)
            {
                if (kept && isHolding) checkpoints = CheckpointLock.TryTake(held!);
                return done;
            }
            if (Stopwatch.GetElapsedTime(started) >= CheckpointPatience) return null;
            Thread.Sleep(1); // There is nothing that would tell when another process is done.
        }
    }

    /// <summary>
    /// The same with the write lock. What it takes of the WAL is copied while the lock is held, and committed to the
    /// mirror afterwards: writers wait for the disk's syncs, not for us.
    /// </summary>
    void HoldOffAndShorten(TimeSpan? wait)
    {
        if (!spare!.TryBeginWrite(wait)) return;
        WalCopy? copy = null;
        WalIndex? index;
        try
        {
            // Nobody can begin the WAL anew now, so the mark may be let go of for a moment.
            Renew();
            var last = SourceView.Of(held!);
            index = last.Index;
            if (!TryCopyRest(index, out copy) && !TryTakeTransactions(last)) Join(last);
            held!.End();
            isHolding = false;
            _ = Checkpoint(held);
            held.BeginRead();
            isHolding = true;
        }
        finally
        {
            spare.End();
        }
        if (copy is null) return;
        var file = wal;
        wal = new WalReader(copy);
        try
        {
            brake.Begin(index!.Value, index.Value.Frames - standing!.Position!.Value.Frames, atOnce: false);
            // When it does not add up, the next look compares.
            TryTakeUpTo(index.Value, standing);
        }
        finally
        {
            brake.End();
            wal.Release();
            wal = file;
        }
    }

    void Renew()
    {
        held!.End();
        isHolding = false;
        held.BeginRead();
        isHolding = true;
    }

    /// <summary>
    /// Copies what the mirror does not have yet of the same life of the WAL; false when it is too much, or another
    /// life.
    /// </summary>
    bool TryCopyRest(WalIndex? index, out WalCopy? copy)
    {
        copy = null;
        if (index is not { } to || standing is not { Position: { } from } || to.Salt != from.Salt
            || to.Frames < from.Frames || !OpenWal())
            return false;
        var size = (to.Frames - from.Frames) * (long)(WalFrame.HeaderBytes + from.PageSize);
        if (size > MostCopiedBytes) return false;
        var bytes = new byte[size];
        if (walFile!.Read(from.Offset, bytes) < bytes.Length) return false;
        copy = new WalCopy(walFile.Path, from.Offset, bytes);
        return true;
    }
}
