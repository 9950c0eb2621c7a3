using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// A place in a remote's log between two segments: what stands before it, and so what the next segment must say.
/// </summary>
/// <param name="NextLsn">The LSN, and so the name, of the next segment.</param>
/// <param name="Hash">The hash of the segment before; zeros at the very start.</param>
/// <param name="Epoch">The epoch of the segment before; 0 at the very start.</param>
/// <param name="Author">The author of the segment before; 0 at the very start.</param>
/// <param name="BeforeLsn">The first LSN, and so the name, of the segment before; 0 when there is none, or when it is
/// not known.</param>
internal readonly record struct RemoteLogEnd(ulong NextLsn, ObjectHash Hash, ulong Epoch, ulong Author, ulong BeforeLsn)
{
    /// <summary>The place before a log's first segment.</summary>
    public static RemoteLogEnd Start(StoreObject store) => new(store.FirstLsn, default, 0, 0, 0);

    /// <summary>The place after a segment.</summary>
    public static RemoteLogEnd After(in RemoteSegmentHeader header, in ObjectHash hash)
        => new(header.NextLsn, hash, header.Epoch, header.Author, header.FirstLsn);

    /// <summary>The last LSN before this place.</summary>
    public ulong LastLsn => NextLsn - 1;

    /// <summary>Throws Corrupt when a segment cannot follow here.</summary>
    public void CheckFollows(RemoteSegment segment, Guid logId)
    {
        ref readonly var header = ref segment.HeaderRef;
        if (header.LogId != logId)
            throw RemoteFormat.Damaged(segment.Name, $"it belongs to another log ({header.LogId}, not {logId})");
        if (header.FirstLsn != NextLsn)
            throw RemoteFormat.Damaged(segment.Name, $"it starts at LSN {header.FirstLsn}, not {NextLsn}");
        if (header.Previous != Hash)
            throw RemoteFormat.Damaged(segment.Name,
                "it does not follow the segment before it (their hashes do not chain)");
        if (header.Epoch < Epoch || header.Epoch == Epoch && header.Author != Author)
            throw RemoteFormat.Damaged(segment.Name,
                $"its epoch {header.Epoch} (author {header.Author:x16}) cannot follow epoch {Epoch} (author "
                    + $"{Author:x16})");
    }
}
