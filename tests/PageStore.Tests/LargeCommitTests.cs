using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.Testing;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Commits that are larger than what is kept of their records in memory.</summary>
public sealed class LargeCommitTests : IDisposable
{
    const int Pages = 3000, PageBytes = 4096;

    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    static byte[] PageOf(Random random)
    {
        var page = new byte[PageBytes];
        if (random.Next(8) != 0) random.NextBytes(page);
        return page;
    }

    static void MustHold(Store store, byte[][] pages)
    {
        var database = store.Find("a.db")!;
        var version = database.Pin();
        var page = new byte[PageBytes];
        Assert.Equal((uint)pages.Length, version.PageCount);
        for (var i = 0; i < pages.Length; i++)
        {
            database.Read(version, i * (long)PageBytes, page);
            Assert.True(page.AsSpan().SequenceEqual(pages[i]), $"page {i + 1} is another one");
        }
        database.Unpin(version);
    }

    /// <summary>
    /// Pages that were not there before are written to the log from where they are: nothing of them goes through a file
    /// of its own. Changes of pages do, and both are replayed to the same bytes.
    /// </summary>
    [Theory]
    [InlineData(64)]
    [InlineData(1)]
    public void New_pages_reach_the_log_without_a_file_in_between(int overlayMegabytes) => Seeds.Run(1, random =>
    {
        var name = Guid.NewGuid().ToString("N");
        var options = new StoreOptions
        {
            Directory = temp[name],
            OverlayBytes = overlayMegabytes << 20,
            PendingBytes = 1 << 20,
            PagesInMemory = true,
        };
        var pages = Enumerable.Range(0, Pages).Select(_ => PageOf(random)).ToArray();
        using (var store = Store.Open(options))
        {
            var spilled = temp[Path.Combine(name, "spill")];
            var database = store.Create("a.db");
            Write(store, database, [.. Enumerable.Range(0, Pages)], pages);
            Assert.Equal(overlayMegabytes == 1, Directory.Exists(spilled));

            var changed = Enumerable.Range(0, Pages).Where(_ => random.Next(4) != 0).ToArray();
            foreach (var i in changed) pages[i] = PageOf(random);
            Write(store, database, [.. changed, .. Enumerable.Range(Pages, Pages)],
                pages = [.. pages, .. Enumerable.Range(0, Pages).Select(_ => PageOf(random))]);
            Assert.True(Directory.Exists(spilled));
            MustHold(store, pages);
            Assert.Empty(store.Verify(null, CancellationToken.None));
        }
        // Pages are kept in memory only: all of it comes from the log.
        using (var again = Store.Open(options))
        {
            MustHold(again, pages);
            Assert.Empty(again.Verify(null, CancellationToken.None));
        }
    });

    static void Write(Store store, Database database, int[] which, byte[][] pages)
    {
        using var overlay = store.BeginOverlay(database, database.Current);
        foreach (var i in which) overlay.Write(i * (long)PageBytes, pages[i]);
        store.Commit([overlay], durable: true);
    }
}
