using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// Which pages two versions do not surely have in common: one bit a page. A page can also be marked because something
/// that belongs to it changed elsewhere.
/// </summary>
internal sealed class ChangedPages
{
    readonly ulong[] bits = [];
    readonly uint shared;

    ChangedPages() { }

    /// <summary>All of them, as when nothing is known.</summary>
    public static ChangedPages All { get; } = new();

    public ChangedPages(Pages before, Pages after, IPageComparison? comparison)
    {
        if (comparison is null || before.Size != after.Size || before.UsableSize != after.UsableSize) return;
        shared = Math.Min(before.Count, after.Count);
        bits = new ulong[shared / 64 + 1];
        if (comparison.Changed(shared) is { } known)
        {
            foreach (var page in known) Add(page);
            return;
        }
        for (uint page = 1; page <= shared; page++)
            if (!comparison.SurelyEqual(page)) Add(page);
    }

    void Add(uint page)
    {
        if (page == 0 || page > shared || this[page]) return;
        Mark(page);
        Count++;
    }

    /// <summary>Whether nothing is known to be equal, so that all has to be read.</summary>
    public bool IsAll => shared == 0;

    /// <summary>How many of the pages that both have are changed.</summary>
    public uint Count { get; private set; }

    /// <summary>The number of pages that both have; larger ones count as changed.</summary>
    public uint Shared => shared;

    public bool this[uint page] => page > shared || (bits[page / 64] >> (int)(page % 64) & 1) != 0;

    public void Mark(uint page) => bits[page / 64] |= 1UL << (int)(page % 64);

    /// <summary>The marked pages that both have.</summary>
    public IEnumerable<uint> Pages()
    {
        for (var i = 0; i < bits.Length; i++)
            for (var word = bits[i]; word != 0; word &= word - 1)
                yield return (uint)(i * 64 + System.Numerics.BitOperations.TrailingZeroCount(word));
    }
}
