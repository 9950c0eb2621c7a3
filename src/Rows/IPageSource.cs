namespace RecoveryVfs.Rows;

/// <summary>
/// The pages of one SQLite database at one version. They must not change while anybody reads them. Whoever reads trusts
/// nothing of what they hold. An implementation may be called from the one thread that reads; it need not be safe for
/// several.
/// </summary>
public interface IPageSource
{
    /// <summary>The size of a page in bytes: a power of two, 512 to 65536.</summary>
    int PageSize { get; }

    /// <summary>How many pages there are. 0 is a database in which nothing was written yet.</summary>
    uint PageCount { get; }

    /// <summary>Copies page <paramref name="page"/> (the first is 1, the last <see cref="PageCount"/>) into <paramref
    /// name="destination"/>, which holds exactly <see cref="PageSize"/> bytes.</summary>
    void Read(uint page, Span<byte> destination);
}

/// <summary>What is known, without reading them, about the pages that two versions of one database share.</summary>
public interface IPageComparison
{
    /// <summary>
    /// True when page <paramref name="page"/> holds the same bytes in both versions. False is always allowed: it costs
    /// reading, and nothing else. Asked once for each page number that both versions have, so it should cost no more
    /// than a look into a table.
    /// </summary>
    bool SurelyEqual(uint page);

    /// <summary>
    /// The pages up to <paramref name="count"/> that are not surely equal, where they are known one by one; null when
    /// each has to be asked for.
    /// </summary>
    IEnumerable<uint>? Changed(uint count) => null;
}
