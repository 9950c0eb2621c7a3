namespace RecoveryVfs.PageStore.Reading;

/// <summary>
/// The page cache's slots of one page size: which are free, and which goes next when none is. Under the cache's lock.
/// </summary>
/// <param name="chunks">The memory.</param>
/// <param name="number">Which of the page sizes.</param>
/// <param name="unlink">Takes the page in a slot out of the cache.</param>
internal sealed unsafe class CachePageSize(CacheChunks chunks, int number, Action<int> unlink)
{
    readonly int slotsPerChunk = CacheChunks.ChunkBytes / (512 << number);
    readonly List<int> resident = [];       // chunk numbers
    readonly Stack<int> released = new();   // chunks without memory, to be used again
    readonly Stack<int> free = new();       // slot numbers
    int handChunk, handSlot;

    public int ChunkCount => resident.Count;

    public bool HasFree => free.Count > 0;

    public bool TryTakeFree(out int slot) => free.TryPop(out slot);

    public void GiveBack(int slot) => free.Push(slot);

    /// <summary>All slots that have memory, free or not.</summary>
    public IEnumerable<int> Resident()
    {
        foreach (var chunk in resident)
            for (var i = 0; i < slotsPerChunk; i++) yield return CacheChunks.FirstSlotOf(chunk) + i;
    }

    public int TakeFromNewChunk()
    {
        // Full chunks only: a fault that has to find or make 2 MiB of free memory can take milliseconds; the system
        // joins what is there when it has time.
        if (resident.Count > 0) chunks.AdviseHuge(resident[^1]);
        if (released.TryPop(out var chunk)) chunks.Revive();
        else chunk = chunks.Add(number);
        resident.Add(chunk);
        for (var i = slotsPerChunk - 1; i >= 0; i--) free.Push(CacheChunks.FirstSlotOf(chunk) + i);
        return free.Pop();
    }

    /// <summary>Gives the memory of its newest chunk back to the system, without the pages in it.</summary>
    public void GiveUpChunk()
    {
        var chunk = resident[^1];
        resident.RemoveAt(resident.Count - 1);
        for (var i = 0; i < slotsPerChunk; i++)
        {
            var slot = CacheChunks.FirstSlotOf(chunk) + i;
            if (chunks.SlotAt(slot)->InUse != 0) unlink(slot);
        }
        var kept = free.Where(slot => CacheChunks.ChunkOf(slot) != chunk).ToArray();
        free.Clear();
        foreach (var slot in kept) free.Push(slot);
        released.Push(chunk);
        chunks.Discard(chunk);
    }

    /// <summary>Second chance: the first slot in turn that nobody touched since the hand last passed.</summary>
    public int Evict()
    {
        while (true)
        {
            if (handSlot >= slotsPerChunk)
            {
                handSlot = 0;
                handChunk++;
            }
            if (handChunk >= resident.Count) handChunk = 0;
            var slot = CacheChunks.FirstSlotOf(resident[handChunk]) + handSlot++;
            var seen = chunks.SlotAt(slot);
            if (seen->InUse == 0) continue;
            if (seen->Touched == CacheSlot.Evictable) return slot;
            seen->Touched = CacheSlot.Evictable;
        }
    }
}
