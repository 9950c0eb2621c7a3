namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// Knows which pages two versions have in common, as the log does. Sometimes it pretends not to know.
/// </summary>
internal sealed class PageEquality(MemoryPages before, MemoryPages after, Random? forgetful = null) : IPageComparison
{
    public bool SurelyEqual(uint page) => forgetful?.Next(10) != 0 && before.Page(page).SequenceEqual(after.Page(page));

    /// <summary>One by one, as the log knows them; or not.</summary>
    public IEnumerable<uint>? Changed(uint count)
    {
        if (forgetful?.Next(2) == 0) return null;
        var pages = new List<uint>();
        for (uint page = 1; page <= count; page++)
            if (!SurelyEqual(page)) pages.Add(page);
        return pages;
    }
}
