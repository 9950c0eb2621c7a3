using RecoveryVfs.PageStore.Pages;
using static RecoveryVfs.PageStore.Tests.PageStoreTestExtensions;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A history of commits in which each LSN's changes are known, so that any state can be checked against its LSN.
/// </summary>
internal sealed class History(int seed, int pageBytes = 2048)
{
    public const uint Pages = 200;
    const uint Cut = 150;

    public int Seed => seed;

    /// <summary>Writes the commits from the next one up to this LSN.</summary>
    public void WriteTo(IPageStore store, ulong last)
    {
        while (store.Applied < last)
            Write(store, store.Applied + 1);
    }

    /// <summary>Writes one commit: a few pages, and now and then a cut.</summary>
    public void Write(IPageStore store, ulong lsn) => store.Commit(lsn, batch =>
    {
        if (Cuts(lsn))
            batch.DeleteRange(1, Cut, uint.MaxValue);
        foreach (var page in PagesOf(lsn))
            batch.Put(1, page, Page(1, page, lsn, pageBytes));
    });

    /// <summary>Reads everything, by scan and singly, and compares it with what the store's LSN should show.</summary>
    public void Check(IPageStore store, IPageSnapshot? snapshot = null)
    {
        var applied = snapshot?.Applied ?? store.Applied;
        var expected = StateAt(applied);
        var scanned = store.ScanAll(1, first: 1, snapshot: snapshot);
        Assert.Equal(expected.Select(e => e.Key), scanned.Select(p => p.Page));
        Assert.All(scanned, p => Assert.Equal(expected[p.Page], LsnOf(1, p.Page, p.Value)));
        foreach (var (page, lsn) in expected)
            Assert.Equal(lsn, LsnOf(1, page, store.Get(1, page, snapshot)));
    }

    SortedDictionary<uint, ulong> StateAt(ulong applied)
    {
        var state = new SortedDictionary<uint, ulong>();
        for (ulong lsn = 1; lsn <= applied; lsn++)
        {
            if (Cuts(lsn))
                for (var page = Cut; page <= Pages; page++)
                    state.Remove(page);
            foreach (var page in PagesOf(lsn))
                state[page] = lsn;
        }
        return state;
    }

    static bool Cuts(ulong lsn) => lsn % 37 == 0;

    IEnumerable<uint> PagesOf(ulong lsn)
    {
        var random = new Random(seed ^ (int)lsn);
        return Enumerable.Range(0, 8).Select(_ => (uint)random.Next(1, (int)Pages + 1)).ToList();
    }
}
