using RecoveryVfs.Replicate.Interop;
using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Sources;

namespace RecoveryVfs.Replicate;

// A read mark that is always held keeps the WAL from ever beginning anew, so whoever holds it sees to it that it does.
internal sealed partial class ReplicatedDatabase
{
    // Where it stood when that was done last: an idle WAL is left alone.
    Standing? shortened;

    /// <summary>
    /// When the WAL has grown: brings it into the main file, and holds a transaction that needs nothing of it, so that the next writer begins it anew. Writers are not
    /// held off but for the last few frames, and only when they come faster than it can be done beside them.
    /// </summary>
    void Shorten(SourceView view)
    {
        if (view.Index is not { } index || index.Frames < options.CheckpointFrames || standing is null || standing == shortened) return;
        if (spare!.Checkpoint(SqliteResult.CheckpointPassive) is not { } done) return;
        spare.BeginRead();
        var now = SourceView.Of(spare);
        if (!TryTakeTransactions(now)) Join(now);
        Hold();
        shortened = standing;
        // Everything is in the main file, and was when this transaction began: it stands in nobody's way.
        if (now.Index is not { } after || after.Salt != index.Salt || after.Frames == done.Done) return;
        if (after.Frames < options.CheckpointFrames * 2) return;
        HoldOffAndShorten();
    }

    /// <summary>The same with the write lock, for as long as the last few frames take.</summary>
    void HoldOffAndShorten()
    {
        if (!spare!.TryBeginWrite()) return;
        try
        {
            // Nobody can begin the WAL anew now, so the mark may be let go of for a moment.
            held!.End();
            isHolding = false;
            held.BeginRead();
            isHolding = true;
            var last = SourceView.Of(held);
            if (!TryTakeTransactions(last)) Join(last);
            held.End();
            isHolding = false;
            _ = held.Checkpoint(SqliteResult.CheckpointPassive);
            held.BeginRead();
            isHolding = true;
        }
        finally
        {
            spare.End();
        }
    }
}
