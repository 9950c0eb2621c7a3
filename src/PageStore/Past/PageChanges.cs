namespace RecoveryVfs.PageStore.Past;

/// <summary>
/// Which pages of a database were written between two of its versions. A page that is not among them holds the same
/// bytes in both.
/// </summary>
internal sealed class PageChanges
{
    readonly HashSet<uint> pages = [];
    uint leastPages = uint.MaxValue;

    /// <summary>Whether nothing is known to be equal: the whole database was written anew.</summary>
    public bool IsAll { get; private set; }

    /// <summary>Whether nothing was written.</summary>
    public bool IsEmpty => !IsAll && pages.Count == 0 && leastPages == uint.MaxValue;

    /// <summary>The pages that were written, as far as they are known one by one.</summary>
    public IReadOnlyCollection<uint> Written => pages;

    /// <summary>Whether a page may hold other bytes.</summary>
    public bool Contains(uint page) => IsAll || page > leastPages || pages.Contains(page);

    /// <summary>The pages up to a count that may hold other bytes; null when all may.</summary>
    public IEnumerable<uint>? UpTo(uint count)
    {
        if (IsAll) return null;
        return Listed();

        IEnumerable<uint> Listed()
        {
            foreach (var page in pages)
                if (page <= count) yield return page;
            for (var page = leastPages; page < count; page++) yield return page + 1;
        }
    }

    internal void Add(uint page) => pages.Add(page);

    internal void AddAll() => IsAll = true;

    /// <summary>The database was so short in between: what came after that is not what was there before.</summary>
    internal void CutTo(uint pageCount) => leastPages = Math.Min(leastPages, pageCount);

    internal void Add(PageChanges later)
    {
        IsAll |= later.IsAll;
        leastPages = Math.Min(leastPages, later.leastPages);
        pages.UnionWith(later.pages);
    }
}
