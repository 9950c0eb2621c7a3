namespace RecoveryVfs.PageStore.Reading;

/// <summary>
/// Pages of commits that are published and not yet in the page store, as a reader sees them. Thread-safe.
/// </summary>
internal interface IPendingPages
{
    /// <summary>
    /// Copies bytes of the newest pending version of a page that a reader at <paramref name="lsn"/> may see; false when
    /// none is pending.
    /// </summary>
    bool TryRead(Database database, ulong lsn, uint page, int within, Span<byte> destination);

    /// <summary>
    /// Sets <paramref name="isPending"/> for each page from <paramref name="first"/> on that some pending commit holds.
    /// </summary>
    void MarkPending(Database database, uint first, Span<bool> isPending);

    /// <summary>
    /// Adds the pages that some pending commit to a database holds; returns the last page of which a reader at
    /// <paramref name="lsn"/> may see what the page store has, because no pending commit has cut it off.
    /// </summary>
    uint PagesOf(Database database, ulong lsn, HashSet<uint> into);
}
