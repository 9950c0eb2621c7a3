using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>What the page cache knows of the page that lies in one place of its memory.</summary>
internal unsafe struct CacheSlot
{
    // Touched: whether eviction may take it. Pages read ahead are kept until they are read once, and then are the
    // first to go unless they are read again: a scan passes through without pushing out what others use.
    public const int Evictable = 0, Used = 1, Ahead = 2, AheadMarked = 3;

    public ulong Key;
    public ulong Since;
    public ulong Hash;
    public byte* Data;
    public int Sequence;
    public int Next;
    public int Touched;
    public int InUse;
}

/// <summary>
/// The page cache's memory: chunks of 2 MiB, each carved for one page size for ever, with a slot for each of its pages.
/// A slot's number never changes what memory it stands for, so a reader with a stale number finds a slot of the right
/// size. Changed under the cache's lock only.
/// </summary>
internal sealed unsafe class CacheChunks : IDisposable
{
    public const int ChunkBytes = 2 << 20;          // what the system can map at once
    public const int PageSizes = 8;                 // 512 << 0 .. 512 << 7
    const int SlotsPerChunkShift = 12;              // 2 MiB / 512
    const int SystemPageBytes = 4096;
    const int PopulatedBytes = 128 << 10;           // so much memory is asked for at once

    readonly CacheSlot** slots;
    readonly byte** data;
    readonly byte[] pageSizes;
    readonly int[] populated;                       // how much of a chunk surely has memory
    int count, resident;

    public CacheChunks(int budget)
    {
        Budget = budget;
        var most = checked(Math.Min(budget, (1 << 20) / PageSizes) * PageSizes + PageSizes);
        slots = (CacheSlot**)NativeMemory.AllocZeroed((nuint)most, (nuint)sizeof(void*));
        data = (byte**)NativeMemory.AllocZeroed((nuint)most, (nuint)sizeof(void*));
        pageSizes = new byte[most];
        populated = new int[most];
    }

    /// <summary>How many chunks may have memory; each page size may have one all the same.</summary>
    public int Budget { get; }

    /// <summary>How many have memory now.</summary>
    public int Resident => Volatile.Read(ref resident);

    public bool HasRoom => resident < Budget;

    /// <summary>
    /// Which of the page sizes one is, from 0 on. What is copied into a slot must fit, whoever said how large pages
    /// are: others are refused.
    /// </summary>
    public static int NumberOf(int pageSize) =>
        System.Numerics.BitOperations.Log2((uint)pageSize) - 9 is >= 0 and < PageSizes and var number
        && 512 << number == pageSize
            ? number
            : throw new ArgumentOutOfRangeException(nameof(pageSize), pageSize, "No database has such pages.");

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public CacheSlot* SlotAt(int number)
        => slots[number >> SlotsPerChunkShift] + (number & ((1 << SlotsPerChunkShift) - 1));

    /// <summary>The page size that a slot's chunk is carved for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int PageSizeOf(int number) => 512 << pageSizes[number >> SlotsPerChunkShift];

    /// <summary>The number of a chunk's first slot; the others follow.</summary>
    public static int FirstSlotOf(int chunk) => chunk << SlotsPerChunkShift;

    public static int ChunkOf(int number) => number >> SlotsPerChunkShift;

    /// <summary>A new chunk for a page size; returns its number.</summary>
    public int Add(int pageSizeNumber)
    {
        var chunk = count++;
        var pageSize = 512 << pageSizeNumber;
        var pages = ChunkBytes / pageSize;
        var headers = (CacheSlot*)NativeMemory.AllocZeroed((nuint)pages, (nuint)sizeof(CacheSlot));
        var bytes = (byte*)NativeMemory.AlignedAlloc(ChunkBytes, ChunkBytes);
        for (var i = 0; i < pages; i++) headers[i].Data = bytes + (long)i * pageSize;
        pageSizes[chunk] = (byte)pageSizeNumber;
        data[chunk] = bytes;
        slots[chunk] = headers;
        resident++;
        return chunk;
    }

    /// <summary>
    /// Sees to it that there is memory where a page will be written. Slots are first used in order, so it is asked for
    /// a piece at a time.
    /// </summary>
    public void Populate(int number)
    {
        var chunk = ChunkOf(number);
        var start = SlotAt(number)->Data;
        var length = PageSizeOf(number);
        if (start + length - data[chunk] <= populated[chunk]) return;
        if (Interop.Memory.TryPopulate(data[chunk] + populated[chunk], PopulatedBytes))
        {
            populated[chunk] += PopulatedBytes;
            return;
        }
        // The runtime's copy reads its destination first. On memory never touched that maps the system's page of zeros,
        // and the write that follows costs a second fault, with an interrupt of every other processor: four times as
        // much as a write to begin with.
        for (var at = 0; at < length; at += SystemPageBytes) start[at] = 0;
    }

    /// <summary>Returns a chunk's memory to the system; its addresses stay, for its own page size.</summary>
    public void Discard(int chunk)
    {
        Interop.Memory.Discard(data[chunk], ChunkBytes);
        populated[chunk] = 0;
        resident--;
    }

    /// <summary>Takes a discarded chunk into use again.</summary>
    public void Revive() => resident++;

    /// <summary>The system may map a chunk that is full as one.</summary>
    public void AdviseHuge(int chunk) => Interop.Memory.AdviseHuge(data[chunk], ChunkBytes);

    public void Dispose()
    {
        for (var i = 0; i < count; i++)
        {
            NativeMemory.AlignedFree(data[i]);
            NativeMemory.Free(slots[i]);
        }
        NativeMemory.Free(slots);
        NativeMemory.Free(data);
    }
}
