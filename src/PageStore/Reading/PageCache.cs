using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>What a look into the page cache found.</summary>
internal enum CacheRead
{
    /// <summary>Nothing that this reader may see.</summary>
    Miss,
    /// <summary>The bytes were copied.</summary>
    Hit,
    /// <summary>The bytes were copied, and the page was marked when it was read ahead: it is time to read on.</summary>
    HitMark,
}

/// <summary>
/// The newest version of pages, in memory outside the managed heap, shared by all connections of a store. A hit costs a
/// hash, a short chain walk and the copy: no lock, no allocation, no system call.
/// </summary>
/// <remarks>
/// Every entry says since which LSN its bytes are the newest (<c>Since</c>); a reader pinned at version v may use it
/// when Since &lt;= v. Readers check a sequence number before and after the copy (odd: being written) and treat any
/// doubt as a miss. Structure (chains, eviction) changes under one lock, taken only on a miss that inserts and at
/// commits. Memory is taken in chunks of 2 MiB, each carved for one page size for ever, so a stale pointer always
/// points into memory of the right size; a chunk given up for another page size keeps its addresses and only returns
/// its memory to the system.
/// </remarks>
internal sealed unsafe class PageCache : IDisposable
{
    const int MaxHops = 256;                        // a reader racing with relinking gives up and takes the miss
    const int End = -1;
    const uint RemovedOneByOne = 4096;

    readonly Lock gate = new();
    readonly int* buckets;
    readonly ulong bucketShift;
    readonly CacheChunks chunks;
    readonly CachePageSize[] pageSizes = new CachePageSize[CacheChunks.PageSizes];
    bool disposed;

    public PageCache(long budgetBytes)
    {
        chunks = new CacheChunks((int)Math.Clamp(budgetBytes / CacheChunks.ChunkBytes, 1, 1 << 20));
        for (var i = 0; i < pageSizes.Length; i++) pageSizes[i] = new CachePageSize(chunks, i, Unlink);
        var wanted = Math.Max(1024, (ulong)chunks.Budget * (CacheChunks.ChunkBytes / 4096) * 2);
        var bits = 64 - System.Numerics.BitOperations.LeadingZeroCount(wanted - 1);
        bucketShift = (ulong)(64 - bits);
        buckets = (int*)NativeMemory.Alloc((nuint)(1UL << bits), sizeof(int));
        new Span<int>(buckets, 1 << bits).Fill(End);
    }

    /// <summary>The configured bound.</summary>
    public long BudgetBytes => (long)chunks.Budget * CacheChunks.ChunkBytes;

    /// <summary>How much more pages it can take before one of them has to go for another.</summary>
    public long FreeBytes => Math.Max(0, BudgetBytes - ResidentBytes);

    /// <summary>Memory held for pages now; exceeds the bound by at most one chunk for each page size in use.</summary>
    public long ResidentBytes => (long)chunks.Resident * CacheChunks.ChunkBytes;

    static ulong KeyOf(uint database, uint page) => ((ulong)database << 32) | page;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    int* Bucket(ulong key) => buckets + ((key * 0x9E3779B97F4A7C15UL) >> (int)bucketShift);

    /// <summary>
    /// Copies bytes of the page from <paramref name="offset"/> on, when the cached version is not newer than
    /// <paramref name="asOf"/>. The caller asks only for bytes within its page size.
    /// </summary>
    public CacheRead TryRead(uint database, uint page, ulong asOf, int pageSize, int offset, Span<byte> destination)
    {
        var key = KeyOf(database, page);
        var number = Volatile.Read(ref *Bucket(key));
        for (var hops = 0; number != End && hops < MaxHops; hops++)
        {
            var slot = chunks.SlotAt(number);
            var before = Volatile.Read(ref slot->Sequence);
            if (slot->Key == key && (before & 1) == 0 && slot->InUse != 0)
            {
                // A page number whose chunk serves another page size belongs to an older version of the database: a
                // miss.
                if (slot->Since > asOf || chunks.PageSizeOf(number) != pageSize) return CacheRead.Miss;
                new ReadOnlySpan<byte>(slot->Data + offset, destination.Length).CopyTo(destination);
                if (!X86Base.IsSupported) Interlocked.MemoryBarrier();
                if (Volatile.Read(ref slot->Sequence) != before) return CacheRead.Miss;
                var touched = slot->Touched;
                if (touched == CacheSlot.Used) return CacheRead.Hit;
                slot->Touched = touched == CacheSlot.Evictable ? CacheSlot.Used : CacheSlot.Evictable;
                return touched == CacheSlot.AheadMarked ? CacheRead.HitMark : CacheRead.Hit;
            }
            number = Volatile.Read(ref slot->Next);
        }
        return CacheRead.Miss;
    }

    /// <summary>
    /// The hash of a page as of a version, when the page came here with it by a commit; else 0. For the writer, whose
    /// version is the newest and stays so meanwhile: what it has read of the page is what this is the hash of.
    /// </summary>
    public ulong KnownHash(uint database, uint page, ulong asOf)
    {
        var key = KeyOf(database, page);
        lock (gate)
        {
            var number = Find(key);
            return number != End && chunks.SlotAt(number)->Since <= asOf ? chunks.SlotAt(number)->Hash : 0;
        }
    }

    /// <summary>
    /// Keeps what a reader at the newest version found below the cache. Whether it still is the newest is asked under
    /// the lock, so that a commit that has begun to publish is never overwritten with what came before it.
    /// </summary>
    public void Insert(Database database, DatabaseVersion version, uint page, ReadOnlySpan<byte> bytes)
    {
        lock (gate)
        {
            if (disposed || !database.IsSettledAt(version)) return;
            Put(KeyOf(database.Id, page), version.Lsn, 0, bytes, insert: true, CacheSlot.Used);
        }
    }

    /// <summary>
    /// Like <see cref="Insert"/>, for a page that nobody has asked for yet; one that is cached stays as it is. The
    /// first read of a marked one says so. False when the version is the newest no more.
    /// </summary>
    public bool InsertAhead(Database database, DatabaseVersion version, uint page, ReadOnlySpan<byte> bytes,
        bool marked)
    {
        var key = KeyOf(database.Id, page);
        lock (gate)
        {
            if (disposed || !database.IsSettledAt(version)) return false;
            var touched = marked ? CacheSlot.AheadMarked : CacheSlot.Ahead;
            if (Find(key) == End) Put(key, version.Lsn, 0, bytes, insert: true, touched);
            return true;
        }
    }

    /// <summary>
    /// Like <see cref="InsertAhead"/>, but inserts only into free space. Until the page is read, it is the first to be
    /// evicted.
    /// </summary>
    public bool InsertWarm(Database database, DatabaseVersion version, uint page, ReadOnlySpan<byte> bytes)
    {
        var key = KeyOf(database.Id, page);
        lock (gate)
        {
            if (disposed || !database.IsSettledAt(version)) return false;
            if (Find(key) != End) return true;
            if (!PageSizeFor(bytes.Length).HasFree && !chunks.HasRoom) return false;
            Put(key, version.Lsn, 0, bytes, insert: true, CacheSlot.Evictable);
            return true;
        }
    }

    /// <summary>
    /// Brings in the pages of a commit: replaces cached versions and, when <paramref name="insert"/>, adds the others.
    /// With <paramref name="insert"/> false a cached older version is dropped instead.
    /// </summary>
    public void Publish(uint database, uint page, ulong lsn, ulong hash, ReadOnlySpan<byte> bytes, bool insert)
    {
        lock (gate)
        {
            if (!disposed) Put(KeyOf(database, page), lsn, hash, bytes, insert, CacheSlot.Used);
        }
    }

    /// <summary>Drops a page, if cached.</summary>
    public void Remove(uint database, uint page)
    {
        lock (gate)
        {
            var number = Find(KeyOf(database, page));
            if (number != End) Release(number);
        }
    }

    /// <summary>
    /// Drops the pages from the first to the last. It costs what is cached at most, however many pages those are.
    /// </summary>
    public void Remove(uint database, uint first, uint last)
    {
        if (first > last) return;
        if (last - first < RemovedOneByOne)
        {
            for (var page = first; ; page++)
            {
                Remove(database, page);
                if (page == last) return;
            }
        }
        lock (gate)
        {
            foreach (var pageSize in pageSizes)
                foreach (var number in pageSize.Resident())
                    if (IsBetween(number, KeyOf(database, first), KeyOf(database, last))) Release(number);
        }
    }

    bool IsBetween(int number, ulong first, ulong last)
        => chunks.SlotAt(number) is var slot && slot->InUse != 0 && slot->Key >= first && slot->Key <= last;

    void Put(ulong key, ulong since, ulong hash, ReadOnlySpan<byte> bytes, bool insert, int touched)
    {
        var number = Find(key);
        if (number != End && (!insert || chunks.PageSizeOf(number) != bytes.Length))
        {
            Release(number);
            number = End;
        }
        if (!insert) return;
        var fresh = number == End;
        if (fresh) number = Acquire(PageSizeFor(bytes.Length));
        var slot = chunks.SlotAt(number);
        Volatile.Write(ref slot->Sequence, slot->Sequence + 1);
        Interlocked.MemoryBarrier();
        slot->Key = key;
        slot->Since = since;
        slot->Hash = hash;
        if (fresh) chunks.Populate(number);
        bytes.CopyTo(new Span<byte>(slot->Data, bytes.Length));
        slot->InUse = 1;
        slot->Touched = touched;
        Volatile.Write(ref slot->Sequence, slot->Sequence + 1);
        if (!fresh) return;
        var bucket = Bucket(key);
        Volatile.Write(ref slot->Next, *bucket);
        Volatile.Write(ref *bucket, number);
    }

    int Find(ulong key)
    {
        var number = *Bucket(key);
        while (number != End && chunks.SlotAt(number)->Key != key) number = chunks.SlotAt(number)->Next;
        return number;
    }

    void Unlink(int number)
    {
        var slot = chunks.SlotAt(number);
        var link = Bucket(slot->Key);
        while (*link != number) link = &chunks.SlotAt(*link)->Next;
        Volatile.Write(ref *link, slot->Next);
        Volatile.Write(ref slot->Sequence, slot->Sequence + 1);
        Interlocked.MemoryBarrier();
        slot->InUse = 0;
        slot->Key = 0;
        Volatile.Write(ref slot->Sequence, slot->Sequence + 1);
    }

    void Release(int number)
    {
        Unlink(number);
        PageSizeFor(chunks.PageSizeOf(number)).GiveBack(number);
    }

    CachePageSize PageSizeFor(int pageSize) => pageSizes[CacheChunks.NumberOf(pageSize)];

    int Acquire(CachePageSize pageSize)
    {
        if (pageSize.TryTakeFree(out var number)) return number;
        if (chunks.HasRoom || pageSize.ChunkCount == 0 || GiveUpChunk(pageSize)) return pageSize.TakeFromNewChunk();
        number = pageSize.Evict();
        Unlink(number);
        return number;
    }

    /// <summary>
    /// When another page size holds more than twice the chunks of this one, it gives one up. False when they are in
    /// balance.
    /// </summary>
    bool GiveUpChunk(CachePageSize needy)
    {
        var richest = pageSizes[0];
        foreach (var candidate in pageSizes)
            if (candidate.ChunkCount > richest.ChunkCount) richest = candidate;
        if (richest == needy || richest.ChunkCount <= 2 * needy.ChunkCount) return false;
        richest.GiveUpChunk();
        return true;
    }

    /// <summary>Frees everything. The caller guarantees that nobody reads any more.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
            chunks.Dispose();
            NativeMemory.Free(buckets);
        }
    }
}
