using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// The pages that a transaction wrote, whole ones: in rented buffers, or beyond the budget in an unlinked file. Used by
/// one thread at a time; any number may read once it changes no more.
/// </summary>
internal sealed unsafe class OverlayPages(PageBuffers buffers)
{
    readonly PageBuffers buffers = buffers;
    // Where a page's bytes are: a pointer (positive), or the complement of an offset in the spill file.
    readonly Dictionary<uint, long> places = [];
    readonly Stack<long> freeSpill = [];
    SpillFile? spill; // Made by the first page that is spilled.
    long heldBytes;

    /// <summary>The size of each; 0 as long as that is not known, and there are none.</summary>
    public int PageSize { get; set; }

    public int Count => places.Count;

    /// <summary>Their numbers, in no order.</summary>
    public Dictionary<uint, long>.KeyCollection Numbers => places.Keys;

    public bool Holds(uint page) => places.ContainsKey(page);

    /// <summary>Copies bytes of a page; false when it is not here.</summary>
    public bool TryRead(uint page, int within, Span<byte> destination)
    {
        if (!places.TryGetValue(page, out var place)) return false;
        if (place > 0) new ReadOnlySpan<byte>((byte*)place + within, destination.Length).CopyTo(destination);
        else spill!.ReadAt(~place + within, destination);
        return true;
    }

    /// <summary>The page's bytes in memory, or empty when it is spilled or not here.</summary>
    public ReadOnlySpan<byte> InMemory(uint page) =>
        places.TryGetValue(page, out var place) && place > 0 ? new ReadOnlySpan<byte>((byte*)place, PageSize) : default;

    /// <summary>Changes a page that is in memory; false when it is not.</summary>
    public bool TryOverwrite(uint page, int within, ReadOnlySpan<byte> source)
    {
        if (!places.TryGetValue(page, out var place) || place <= 0) return false;
        source.CopyTo(new Span<byte>((byte*)place + within, source.Length));
        return true;
    }

    /// <summary>A buffer for a page that is not in memory. It is the page once it is kept.</summary>
    public Rented Rent(uint page) => new(this, page, buffers.Rent(PageSize));

    /// <summary>A page's buffer that is being filled.</summary>
    public readonly ref struct Rented(OverlayPages pages, uint page, byte* buffer)
    {
        /// <summary>The page's bytes; at first anything.</summary>
        public Span<byte> Bytes => new(buffer, pages.PageSize);

        public void Keep() => pages.Keep(page, buffer);

        public void GiveUp() => pages.buffers.Return(buffer, pages.PageSize);
    }

    void Keep(uint page, byte* buffer)
    {
        if (places.TryGetValue(page, out var spilled)) freeSpill.Push(~spilled);
        places[page] = (long)buffer;
        heldBytes += PageSize;
    }

    /// <summary>Moves the pages in memory to the file, when all transactions together hold too much.</summary>
    public void SpillIfOverBudget()
    {
        if (heldBytes == 0 || !buffers.IsOverBudget) return;
        spill ??= new SpillFile(buffers.SpillDirectory);
        var inMemory = places.Where(p => p.Value > 0).ToArray();
        foreach (var (page, place) in inMemory)
        {
            var bytes = new ReadOnlySpan<byte>((byte*)place, PageSize);
            if (freeSpill.TryPop(out var at)) spill.WriteAt(at, bytes);
            else at = spill.Append(bytes);
            places[page] = ~at;
            buffers.Return((byte*)place, PageSize);
            heldBytes -= PageSize;
        }
    }

    public void Drop(uint page)
    {
        places.Remove(page, out var place);
        if (place > 0)
        {
            buffers.Return((byte*)place, PageSize);
            heldBytes -= PageSize;
        }
        else freeSpill.Push(~place);
    }

    /// <summary>Frees all of them. Called once.</summary>
    public void Release()
    {
        foreach (var place in places.Values)
            if (place > 0) buffers.Return((byte*)place, PageSize);
        places.Clear();
        heldBytes = 0;
        spill?.Dispose();
        spill = null;
    }
}
