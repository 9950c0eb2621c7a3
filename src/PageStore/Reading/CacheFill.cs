using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Reading;

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

/// <summary>Brings runs of pages of newest versions from the page store into the page cache. Thread-safe.</summary>
internal sealed class CacheFill(PageCache cache, IPendingPages pending, IPageStore pages)
{
    long pagesAhead, pagesWarmed;

    /// <summary>Pages brought in ahead of a reader so far.</summary>
    public long PagesAhead => Interlocked.Read(ref pagesAhead);

    /// <summary>Pages brought in because their whole database is.</summary>
    public long PagesWarmed => Interlocked.Read(ref pagesWarmed);

    /// <summary>
    /// Reads pages of the newest version into the cache; returns how many the cache took, and up to which page it was
    /// asked. Pages that are pending are left out: whoever needs them finds them there.
    /// </summary>
    /// <remarks>
    /// Why what it finds is the newest version: it notes which pages are pending before it looks into the page store. A
    /// commit of this version or before that is not pending then has been applied before; a later one makes the cache
    /// refuse.
    /// </remarks>
    public (int Taken, uint Next) BringIn(Database database, uint first, uint count, BringingIn how)
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
            if (!Insert(database, version, page, bytes, how, mark: !marked))
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

    bool Insert(Database database, DatabaseVersion version, uint page, ReadOnlySpan<byte> bytes, BringingIn how,
        bool mark) =>
        how == BringingIn.Warming
            ? cache.InsertWarm(database, version, page, bytes)
            : cache.InsertAhead(database, version, page, bytes, mark);
}
