using System.Numerics;
using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>
/// Which pages two versions do not surely have in common. A page can also be marked because something that belongs to
/// it changed elsewhere. A few pages, as of one commit, are a list: they cost what they are, however large the database
/// is. Many are one bit a page.
/// </summary>
internal sealed class ChangedPages
{
    const int MostListed = 4096;

    readonly uint shared;
    HashSet<uint>? listed;
    ulong[] bits = [];

    ChangedPages() { }

    /// <summary>All of them, as when nothing is known.</summary>
    public static ChangedPages All { get; } = new();

    public ChangedPages(Pages before, Pages after, IPageComparison? comparison)
    {
        if (comparison is null || before.Size != after.Size || before.UsableSize != after.UsableSize) return;
        shared = Math.Min(before.Count, after.Count);
        if (comparison.Changed(shared) is { } known)
        {
            listed = [];
            foreach (var page in known) Add(page);
            return;
        }
        bits = new ulong[shared / 64 + 1];
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

    public bool this[uint page] => page > shared
        || (listed?.Contains(page) ?? (bits[page / 64] >> (int)(page % 64) & 1) != 0);

    public void Mark(uint page)
    {
        if (listed is null)
        {
            bits[page / 64] |= 1UL << (int)(page % 64);
            return;
        }
        listed.Add(page);
        if (listed.Count <= MostListed) return;
        var many = listed;
        (listed, bits) = (null, new ulong[shared / 64 + 1]);
        foreach (var each in many) Mark(each);
    }

    /// <summary>The marked pages that both have, in their order.</summary>
    public uint[] Pages()
    {
        if (listed is not null)
        {
            var few = listed.ToArray();
            Array.Sort(few);
            return few;
        }
        var pages = new List<uint>();
        for (var i = 0; i < bits.Length; i++)
            for (var word = bits[i]; word != 0; word &= word - 1)
                pages.Add((uint)(i * 64 + BitOperations.TrailingZeroCount(word)));
        return [.. pages];
    }
}
