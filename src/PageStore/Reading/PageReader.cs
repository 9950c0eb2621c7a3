using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>
/// The one way of a read: the page cache, then what is pending, then the page store. It brings in ahead what is read in
/// order. Thread-safe.
/// </summary>
internal sealed class PageReader : IDisposable
{
    readonly IPageStore pages;
    readonly IPendingPages pending;
    readonly CacheFill fill;
    readonly ReadAhead ahead;
    long cacheMisses;

    [ThreadStatic] static byte[]? pageScratch;

    public PageReader(PageCache cache, IPendingPages pending, IPageStore pages)
    {
        Cache = cache;
        this.pending = pending;
        this.pages = pages;
        fill = new CacheFill(cache, pending, pages);
        Written = new WrittenPages(pending, pages);
        ahead = new ReadAhead(cache, fill);
    }

    public PageCache Cache { get; }

    /// <summary>What a version has.</summary>
    public WrittenPages Written { get; }

    /// <summary>Reads that did not find their page in the cache.</summary>
    public long CacheMisses => Interlocked.Read(ref cacheMisses);

    /// <inheritdoc cref="CacheFill.PagesAhead"/>
    public long PagesAhead => fill.PagesAhead;

    /// <inheritdoc cref="CacheFill.PagesWarmed"/>
    public long PagesWarmed => fill.PagesWarmed;

    /// <summary>The version that the page store shows of a database.</summary>
    public DatabaseVersion VersionOf(uint id, string name, ulong createdLsn) =>
        DatabaseHeader.Load(pages, id, name) ?? new DatabaseVersion(createdLsn, 0, 0, false, 0);

    /// <summary>
    /// Reads a page of a version that is not published from the pending commits, before the page cache is asked. False
    /// when none of them has it. Then the cache and what is below it are right: a commit leaves the pending ones after
    /// it was published, and with that the cache has its pages.
    /// </summary>
    public bool TryReadAhead(Database database, DatabaseVersion pinned, uint page, int within, Span<byte> destination)
        => pending.TryRead(database, pinned.Lsn, page, within, destination);

    /// <summary>What follows a look into the page cache that was not simply a hit.</summary>
    public void ReadOn(CacheRead found, Database database, DatabaseVersion pinned, uint page, int within,
        Span<byte> destination)
    {
        // What is brought in is the newest version: whoever reads an older one, as the comparison of a commit with the
        // version before it does, would not find it.
        var isNewest = database.IsSettledAt(pinned);
        if (found == CacheRead.HitMark)
        {
            if (isNewest) ahead.OnMark(database, page);
            return;
        }
        Interlocked.Increment(ref cacheMisses);
        if (isNewest && ahead.OnMiss(database, page)
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

    /// <summary>
    /// The way of a page that is not cached: the newest pending version that the reader may see, or the page store.
    /// </summary>
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

    /// <summary>Stops reading ahead.</summary>
    public void Dispose() => ahead.Dispose();
}
