using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>
/// Goes through the pages of a version that were ever written. The others are zeros, and count nothing in a checksum:
/// so the work is bounded by what there is, not by the size that a record or a header claims. Thread-safe.
/// </summary>
internal sealed class WrittenPages(IPendingPages pending, IPageStore pages)
{
    const int ChunkPages = 1024;

    /// <summary>The XOR over the hashes of pages of a pinned version, from the first to the last one wanted.</summary>
    /// <param name="database">The database.</param>
    /// <param name="pinned">Its version, which the caller has pinned.</param>
    /// <param name="first">The first page.</param>
    /// <param name="last">The last page; no more than the version has.</param>
    /// <param name="leaveOut">Pages that do not count.</param>
    /// <param name="progressed">Told how many pages were passed.</param>
    /// <param name="cancellation">Gives up.</param>
    public ulong Checksum(Database database, DatabaseVersion pinned, uint first, uint last,
        Func<uint, bool>? leaveOut = null, Action<long>? progressed = null, CancellationToken cancellation = default)
    {
        // Before the page store is looked into: a commit that is not pending then has been applied before.
        var waiting = new HashSet<uint>();
        var shown = pending.PagesOf(database, pinned.Lsn, waiting);
        var bytes = new byte[Math.Max(512, pinned.PageSize)].AsMemory(0, pinned.PageSize);
        var sum = 0UL;
        foreach (var page in waiting)
            if (page >= first && page <= last && leaveOut?.Invoke(page) != true)
                sum ^= HashOf(database, pinned, page, bytes.Span);
        for (ulong from = first; from <= last;)
        {
            cancellation.ThrowIfCancellationRequested();
            var snapshot = pinned.Snapshot;
            var (chunk, next, count) = (0UL, last + 1UL, 0);
            pages.Scan(database.Id, (uint)from, last, snapshot, (page, value) =>
            {
                if (count++ == ChunkPages)
                {
                    next = page;
                    return false;
                }
                if (page > shown || waiting.Contains(page) || leaveOut?.Invoke(page) == true) return true;
                var whole = bytes.Span;
                value[..Math.Min(value.Length, whole.Length)].CopyTo(whole);
                whole[Math.Min(value.Length, whole.Length)..].Clear();
                chunk ^= PageCommitFormat.HashOf(page, whole);
                return true;
            });
            // The snapshot is set before the page store moves past the version: then what was read may be newer.
            if (snapshot is null && pinned.Snapshot is not null) continue;
            sum ^= chunk;
            progressed?.Invoke((long)(next - from));
            from = next;
        }
        return sum;
    }

    static ulong HashOf(Database database, DatabaseVersion pinned, uint page, Span<byte> bytes)
    {
        bytes[database.Read(pinned, (page - 1L) * pinned.PageSize, bytes)..].Clear();
        return PageCommitFormat.HashOf(page, bytes);
    }
}
