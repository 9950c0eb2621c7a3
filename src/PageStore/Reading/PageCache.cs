using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using RecoveryVfs.PageStore.Interop;

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
    const int ChunkBytes = 2 << 20;                 // what the system can map at once
    const int SystemPageBytes = 4096;
    const int ClassCount = 8;                       // 512 << 0 .. 512 << 7
    const int SlotsPerChunkShift = 12;              // 2 MiB / 512
    const int MaxHops = 256;                        // a reader racing with relinking gives up and takes the miss
    const int End = -1;

    // Slot.Touched: whether eviction may take it. Pages read ahead are kept until they are read once, and then are the
    // first to go unless they are read again: a scan passes through without pushing out what others use.
    const int Evictable = 0, Used = 1, Ahead = 2, AheadMarked = 3;

    struct Slot
    {
        public ulong Key;
        public ulong Since;
        public ulong Hash;
        public byte* Data;
        public int Sequence;
        public int Next;
        public int Touched;
        public int InUse;
    }

    sealed class PageClass
    {
        public readonly List<int> Chunks = [];      // chunk numbers, resident ones only
        public readonly Stack<int> Released = new();
        public readonly Stack<int> Free = new();    // slot numbers
        public int HandChunk, HandSlot;
    }

    readonly Lock gate = new();
    readonly int* buckets;
    readonly ulong bucketShift;
    readonly Slot** chunkSlots;
    readonly byte** chunkData;
    readonly byte[] chunkClass;
    readonly int maxChunks, budgetChunks;
    readonly PageClass[] classes = new PageClass[ClassCount];
    int chunkCount, residentChunks;
    bool disposed;

    public PageCache(long budgetBytes)
    {
        budgetChunks = (int)Math.Clamp(budgetBytes / ChunkBytes, 1, 1 << 20);
        maxChunks = checked(Math.Min(budgetChunks, (1 << 20) / ClassCount) * ClassCount + ClassCount);
        for (var i = 0; i < ClassCount; i++) classes[i] = new PageClass();
        var wanted = Math.Max(1024, (ulong)budgetChunks * (ChunkBytes / 4096) * 2);
        var bits = 64 - System.Numerics.BitOperations.LeadingZeroCount(wanted - 1);
        bucketShift = (ulong)(64 - bits);
        buckets = (int*)NativeMemory.Alloc((nuint)(1UL << bits), sizeof(int));
        new Span<int>(buckets, 1 << bits).Fill(End);
        chunkSlots = (Slot**)NativeMemory.AllocZeroed((nuint)maxChunks, (nuint)sizeof(void*));
        chunkData = (byte**)NativeMemory.AllocZeroed((nuint)maxChunks, (nuint)sizeof(void*));
        chunkClass = new byte[maxChunks];
    }

    /// <summary>The configured bound.</summary>
    public long BudgetBytes => (long)budgetChunks * ChunkBytes;

    /// <summary>How much more pages it can take before one of them has to go for another.</summary>
    public long FreeBytes => Math.Max(0, (long)(budgetChunks - Volatile.Read(ref residentChunks)) * ChunkBytes);

    /// <summary>Memory held for pages now; exceeds the bound by at most one chunk for each page size in use.</summary>
    public long ResidentBytes => (long)Volatile.Read(ref residentChunks) * ChunkBytes;

    static ulong KeyOf(uint database, uint page) => ((ulong)database << 32) | page;

    static int ClassOf(int pageSize) => System.Numerics.BitOperations.Log2((uint)pageSize) - 9;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    int* Bucket(ulong key) => buckets + ((key * 0x9E3779B97F4A7C15UL) >> (int)bucketShift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    Slot* SlotAt(int number) => chunkSlots[number >> SlotsPerChunkShift] + (number & ((1 << SlotsPerChunkShift) - 1));

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
            var slot = SlotAt(number);
            var before = Volatile.Read(ref slot->Sequence);
            if (slot->Key == key && (before & 1) == 0 && slot->InUse != 0)
            {
                // A page number whose chunk serves another page size belongs to an older version of the database: a
                // miss.
                if (slot->Since > asOf || 512 << chunkClass[number >> SlotsPerChunkShift] != pageSize)
                    return CacheRead.Miss;
                new ReadOnlySpan<byte>(slot->Data + offset, destination.Length).CopyTo(destination);
                if (!X86Base.IsSupported) Interlocked.MemoryBarrier();
                if (Volatile.Read(ref slot->Sequence) != before) return CacheRead.Miss;
                var touched = slot->Touched;
                if (touched == Used) return CacheRead.Hit;
                slot->Touched = touched == Evictable ? Used : Evictable;
                return touched == AheadMarked ? CacheRead.HitMark : CacheRead.Hit;
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
            return number != End && SlotAt(number)->Since <= asOf ? SlotAt(number)->Hash : 0;
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
            Put(KeyOf(database.Id, page), version.Lsn, 0, bytes, insert: true, Used);
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
            if (Find(key) == End) Put(key, version.Lsn, 0, bytes, insert: true, marked ? AheadMarked : Ahead);
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
            if (classes[ClassOf(bytes.Length)].Free.Count == 0 && residentChunks >= budgetChunks) return false;
            Put(key, version.Lsn, 0, bytes, insert: true, Evictable);
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
            if (!disposed) Put(KeyOf(database, page), lsn, hash, bytes, insert, Used);
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

    void Put(ulong key, ulong since, ulong hash, ReadOnlySpan<byte> bytes, bool insert, int touched)
    {
        var number = Find(key);
        if (number != End && (!insert || 512 << chunkClass[number >> SlotsPerChunkShift] != bytes.Length))
        {
            Release(number);
            number = End;
        }
        if (!insert) return;
        var fresh = number == End;
        if (fresh) number = Acquire(ClassOf(bytes.Length));
        var slot = SlotAt(number);
        Volatile.Write(ref slot->Sequence, slot->Sequence + 1);
        Interlocked.MemoryBarrier();
        slot->Key = key;
        slot->Since = since;
        slot->Hash = hash;
        // The runtime's copy reads its destination first. On memory never touched that maps the system's page of zeros,
        // and the write that follows costs a second fault, with an interrupt of every other processor: four times as
        // much as a write to begin with.
        for (var at = 0; at < bytes.Length; at += SystemPageBytes) slot->Data[at] = 0;
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
        while (number != End && SlotAt(number)->Key != key) number = SlotAt(number)->Next;
        return number;
    }

    void Unlink(int number)
    {
        var slot = SlotAt(number);
        var link = Bucket(slot->Key);
        while (*link != number) link = &SlotAt(*link)->Next;
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
        classes[chunkClass[number >> SlotsPerChunkShift]].Free.Push(number);
    }

    int Acquire(int classNumber)
    {
        var pageClass = classes[classNumber];
        if (pageClass.Free.TryPop(out var number)) return number;
        if (residentChunks < budgetChunks || pageClass.Chunks.Count == 0 || GiveUpChunk(pageClass))
        {
            AddChunk(pageClass, classNumber);
            return pageClass.Free.Pop();
        }
        number = Evict(pageClass, classNumber);
        Unlink(number);
        return number;
    }

    /// <summary>Second chance: the first slot in turn that nobody touched since the hand last passed.</summary>
    int Evict(PageClass pageClass, int classNumber)
    {
        var slotsPerChunk = ChunkBytes / (512 << classNumber);
        while (true)
        {
            if (pageClass.HandSlot >= slotsPerChunk)
            {
                pageClass.HandSlot = 0;
                pageClass.HandChunk++;
            }
            if (pageClass.HandChunk >= pageClass.Chunks.Count) pageClass.HandChunk = 0;
            var number = (pageClass.Chunks[pageClass.HandChunk] << SlotsPerChunkShift) + pageClass.HandSlot++;
            var slot = SlotAt(number);
            if (slot->InUse == 0) continue;
            if (slot->Touched == Evictable) return number;
            slot->Touched = Evictable;
        }
    }

    /// <summary>
    /// When another page size holds more than twice the chunks of this one, it gives one up. False when the classes are
    /// in balance.
    /// </summary>
    bool GiveUpChunk(PageClass needy)
    {
        var richest = classes[0];
        foreach (var candidate in classes)
            if (candidate.Chunks.Count > richest.Chunks.Count) richest = candidate;
        if (richest == needy || richest.Chunks.Count <= 2 * needy.Chunks.Count) return false;
        var chunk = richest.Chunks[^1];
        richest.Chunks.RemoveAt(richest.Chunks.Count - 1);
        var slotsPerChunk = ChunkBytes / (512 << chunkClass[chunk]);
        for (var i = 0; i < slotsPerChunk; i++)
        {
            var number = (chunk << SlotsPerChunkShift) + i;
            if (SlotAt(number)->InUse != 0) Unlink(number);
        }
        var kept = richest.Free.Where(n => n >> SlotsPerChunkShift != chunk).ToArray();
        richest.Free.Clear();
        foreach (var number in kept) richest.Free.Push(number);
        richest.Released.Push(chunk);
        Interop.Memory.Discard(chunkData[chunk], ChunkBytes);
        residentChunks--;
        return true;
    }

    void AddChunk(PageClass pageClass, int classNumber)
    {
        var pageSize = 512 << classNumber;
        var slots = ChunkBytes / pageSize;
        // Full chunks only: a fault that has to find or make 2 MiB of free memory can take milliseconds; the system
        // joins what is there when it has time.
        if (pageClass.Chunks.Count > 0) Interop.Memory.AdviseHuge(chunkData[pageClass.Chunks[^1]], ChunkBytes);
        if (!pageClass.Released.TryPop(out var chunk))
        {
            chunk = chunkCount++;
            var headers = (Slot*)NativeMemory.AllocZeroed((nuint)slots, (nuint)sizeof(Slot));
            var data = (byte*)NativeMemory.AlignedAlloc(ChunkBytes, ChunkBytes);
            for (var i = 0; i < slots; i++) headers[i].Data = data + (long)i * pageSize;
            chunkClass[chunk] = (byte)classNumber;
            chunkData[chunk] = data;
            chunkSlots[chunk] = headers;
        }
        pageClass.Chunks.Add(chunk);
        residentChunks++;
        for (var i = slots - 1; i >= 0; i--) pageClass.Free.Push((chunk << SlotsPerChunkShift) + i);
    }

    /// <summary>Frees everything. The caller guarantees that nobody reads any more.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
            for (var i = 0; i < chunkCount; i++)
            {
                NativeMemory.AlignedFree(chunkData[i]);
                NativeMemory.Free(chunkSlots[i]);
            }
            NativeMemory.Free(chunkSlots);
            NativeMemory.Free(chunkData);
            NativeMemory.Free(buckets);
        }
    }
}
