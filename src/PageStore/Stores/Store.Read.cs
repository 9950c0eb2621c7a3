using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.PageStore.Stores;

// Reading what the page cache does not hold.
public sealed partial class Store
{
    readonly ReadAhead ahead;
    long cacheMisses, pagesAhead, pagesWarmed;

    [ThreadStatic] static byte[]? pageScratch;

    /// <summary>What follows a look into the page cache that was not simply a hit.</summary>
    internal void ReadOn(CacheRead found, Database database, DatabaseVersion pinned, uint page, int within, Span<byte> destination)
    {
        if (found == CacheRead.HitMark)
        {
            ahead.OnMark(database, page);
            return;
        }
        Interlocked.Increment(ref cacheMisses);
        if (ahead.OnMiss(database, page)
            && Cache.TryRead(database.Id, page, pinned.Lsn, pinned.PageSize, within, destination) != CacheRead.Miss)
            return;
        if (within == 0 && destination.Length == pinned.PageSize)
        {
            ReadBelowCache(database, pinned, page, destination);
            return;
        }
        var bytes = (pageScratch ??= new byte[65536]).AsSpan(0, pinned.PageSize);
        ReadBelowCache(database, pinned, page, bytes);
        bytes.Slice(within, destination.Length).CopyTo(destination);
    }

    /// <summary>The way of a page that is not cached: the newest pending version that the reader may see, or the page store.</summary>
    void ReadBelowCache(Database database, DatabaseVersion pinned, uint page, Span<byte> bytes)
    {
        if (!pending.TryRead(database, pinned.Lsn, page, 0, bytes))
        {
            while (true)
            {
                var snapshot = pinned.Snapshot;
                var length = pages.Read(database.Id, page, snapshot, bytes);
                // The snapshot is set before the page store moves past the version: still none means nothing has moved.
                if (snapshot is null && pinned.Snapshot is not null) continue;
                bytes[Math.Clamp(length, 0, bytes.Length)..].Clear();
                break;
            }
        }
        if (database.IsSettledAt(pinned)) Cache.Insert(database, pinned, page, bytes);
    }

    /// <summary>How pages that nobody has asked for yet are brought into the cache.</summary>
    internal enum BringingIn
    {
        /// <summary>To be read soon.</summary>
        Ahead,
        /// <summary>The same; the first is marked.</summary>
        AheadMarked,
        /// <summary>Perhaps to be read one day: only into memory that is free.</summary>
        Warming,
    }

    /// <summary>
    /// Reads pages of the newest version into the cache; returns how many the cache took, and up to which page it was asked. Pages that are pending are left out: whoever
    /// needs them finds them there.
    /// </summary>
    /// <remarks>
    /// Why what it finds is the newest version: it notes which pages are pending before it looks into the page store. A commit of
    /// this version or before that is not pending then has been applied before; a later one makes the cache refuse.
    /// </remarks>
    internal (int Taken, uint Next) BringIn(Database database, uint first, uint count, BringingIn how)
    {
        var version = database.Current;
        var pageSize = version.PageSize;
        if (first + count - 1 > version.PageCount || !database.IsSettledAt(version)) return (0, first);
        var isPending = new bool[count];
        pending.MarkPending(database, first, isPending);
        var (taken, next, marked) = (0, first + count, how != BringingIn.AheadMarked);
        pages.Scan(database.Id, first, first + count - 1, null, (page, bytes) =>
        {
            if (bytes.Length != pageSize || isPending[page - first]) return true;
            if (how == BringingIn.Warming ? !Cache.InsertWarm(database, version, page, bytes) : !Cache.InsertAhead(database, version, page, bytes, !marked))
            {
                next = page;
                return false;
            }
            marked = true;
            taken++;
            return true;
        });
        Interlocked.Add(ref how == BringingIn.Warming ? ref pagesWarmed : ref pagesAhead, taken);
        return (taken, next);
    }
}
