using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// The local log as a shipper's queue: held from what the remote lacks on, and taken out segment by segment. While it
/// is let go, the log may drop what was not shipped. Used by the shipper's loop.
/// </summary>
internal sealed class ShipQueue : IDisposable
{
    const string Name = "the shipper to the remote";

    readonly LocalLog log;
    readonly int segmentBytes;
    readonly SegmentBuilder builder;
    LogHold? hold;     // Null while it is let go.
    LogCursor? cursor; // Null before the remote's end is known, and while the queue is let go.

    /// <summary>Holds the log from its oldest record on.</summary>
    public ShipQueue(LocalLog log, int segmentBytes, Func<Stream>? openSpool)
    {
        (this.log, this.segmentBytes) = (log, segmentBytes);
        builder = new SegmentBuilder(openSpool, Math.Max(segmentBytes * 2, SegmentBuilder.DefaultMemoryBytes));
        hold = log.Hold(Name, log.FirstLsn);
    }

    /// <summary>Whether the log keeps what was not shipped.</summary>
    public bool IsHeld => hold is not null;

    /// <summary>The next record that is taken out of the log.</summary>
    public ulong NextLsn => Cursor.NextLsn;

    /// <summary>Whether nothing was taken out that is not packed.</summary>
    public bool IsEmpty => builder.IsEmpty;

    /// <summary>Whether enough was taken out for a segment.</summary>
    public bool HasEnough => builder.BodyBytes >= segmentBytes;

    LogCursor Cursor => cursor ?? throw new InvalidOperationException("The queue has no place in the log.");

    /// <summary>Goes on with a record, without what was taken out before.</summary>
    public void GoOnAt(ulong lsn)
    {
        builder.Clear();
        cursor?.Dispose();
        cursor = log.ReadFrom(lsn, LogReach.Written, Name);
    }

    /// <summary>Takes whole groups out of the log until there is enough for a segment.</summary>
    public void Pull()
    {
        while ((!HasEnough || !builder.IsComplete) && Cursor.TryRead(out var record)) builder.Add(record);
    }

    /// <summary>Packs what was taken out, once it is durable here.</summary>
    public PackedSegment Pack(ulong author, in ObjectHash previous)
    {
        Debug.Assert(builder.IsComplete, "the log gives whole groups");
        log.Sync(builder.LastLsn);
        return builder.Finish(log.LogId, log.Epoch, author, previous);
    }

    /// <summary>The remote has everything up to an LSN: the log may drop that.</summary>
    public void Shipped(ulong lsn)
    {
        hold?.Move(lsn + 1);
        // What only waited for this goes now: at its bound the log would not grow, and so nobody else would come to
        // drop it.
        log.DropBefore(0);
    }

    /// <summary>Lets the log drop everything.</summary>
    public void LetGo()
    {
        hold?.Dispose();
        hold = null;
        cursor?.Dispose();
        cursor = null;
    }

    /// <summary>Holds what is left of the log; false when that was dropped between two looks.</summary>
    public bool TryHold()
    {
        try
        {
            hold = log.Hold(Name, log.FirstLsn);
            return true;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            return false;
        }
    }

    public void Dispose()
    {
        LetGo();
        builder.Dispose();
    }
}
