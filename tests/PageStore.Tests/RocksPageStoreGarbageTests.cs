using RecoveryVfs.PageStore.Rocks;
using static RecoveryVfs.PageStore.Tests.PageStoreTestExtensions;

namespace RecoveryVfs.PageStore.Tests;

public sealed class RocksPageStoreGarbageTests : IDisposable
{
    const uint Pages = 3000;
    readonly TempDirectory temp = new();
    RocksPageStore store;

    public RocksPageStoreGarbageTests() => store = Open();

    RocksPageStore Open(Func<long>? livePages = null)
        => RocksPageStore.Open(new() { Directory = temp.Path, LivePages = livePages });

    public void Dispose()
    {
        store.Dispose();
        temp.Dispose();
    }

    void Write(uint first = 1, uint last = Pages)
    {
        store.Commit(store.Applied + 1, batch =>
        {
            for (var page = first; page <= last; page++)
                batch.Put(1, page, Page(1, page, store.Applied + 1));
        });
        store.Flush();
    }

    void CheckPages(uint count)
    {
        var pages = store.ScanAll(1);
        Assert.Equal((int)count, pages.Count);
        Assert.All(pages, p => LsnOf(1, p.Page, p.Value));
    }

    long BlobBytes => Directory.GetFiles(temp.Path, "*.blob").Sum(f => new FileInfo(f).Length);

    [Fact]
    public void Nothing_is_rewritten_without_garbage()
    {
        Assert.False(store.CollectGarbage(CancellationToken.None));
        Write();
        Assert.False(store.CollectGarbage(CancellationToken.None));
    }

    [Fact]
    public void Overwritten_pages_give_their_space_back()
    {
        for (var i = 0; i < 12; i++)
        {
            Write();
            store.CollectGarbage(CancellationToken.None);
        }
        var one = 3000 * 2100L; // half of each page is random
        Assert.InRange(BlobBytes, one, one * 6);
        CheckPages(Pages);
    }

    [Fact]
    public void A_deleted_range_gives_its_space_back()
    {
        Write();
        Write(Pages + 1, Pages + 100); // so that the first file does not simply go as a whole
        var full = BlobBytes;
        store.Commit(store.Applied + 1, batch => batch.DeleteRange(1, 101, Pages));
        store.Flush();
        Assert.Equal(full, BlobBytes);
        Assert.True(store.CollectGarbage(CancellationToken.None));
        Assert.True(BlobBytes < full / 5, $"{BlobBytes} of {full} bytes are left");
        CheckPages(200);
        Assert.False(store.CollectGarbage(CancellationToken.None));
    }

    [Fact]
    public void A_range_that_a_snapshot_needs_is_kept_and_not_compacted_again_and_again()
    {
        Write();
        using (var snapshot = store.Snapshot())
        {
            store.Commit(store.Applied + 1, batch => batch.DeleteRange(1, 1, Pages));
            store.Flush();
            Assert.True(store.CollectGarbage(CancellationToken.None));
            Assert.False(store.CollectGarbage(CancellationToken.None));
            Assert.Equal((int)Pages, store.ScanAll(1, snapshot: snapshot).Count);
            Assert.Empty(store.ScanAll(1));
        }
    }

    [Fact]
    public void Garbage_that_RocksDB_does_not_know_yet_is_collected_when_the_live_pages_are_known()
    {
        Write();
        Write();
        Write(); // three files of level 0: nothing was compacted, no garbage is known
        Assert.Equal(0, store.Statistics()["blob_garbage_bytes"]);
        Assert.False(store.CollectGarbage(CancellationToken.None));
        store.Dispose();
        store = Open(livePages: () => Pages);
        var full = BlobBytes;
        Assert.True(store.CollectGarbage(CancellationToken.None));
        Assert.True(BlobBytes < full / 2);
        CheckPages(Pages);
        Assert.False(store.CollectGarbage(CancellationToken.None));
    }

    [Fact]
    public void A_compacted_store_holds_what_is_live_and_stays_so()
    {
        Write();
        Write(1, 500);
        using (var snapshot = store.Snapshot())
        {
            Write(1, 100);
            Assert.True(store.Compact(CancellationToken.None));
            Assert.Equal((int)Pages, store.ScanAll(1, snapshot: snapshot).Count);
        }
        Assert.True(store.Compact(CancellationToken.None));
        Assert.Equal(0, store.Statistics()["blob_garbage_count"]);
        Assert.Equal((int)Pages, store.Statistics()["blob_count"]);
        var dense = BlobBytes;
        CheckPages(Pages);
        Write(); // pages are written as quickly as before
        Assert.InRange(store.Statistics()["blob_count"], (int)Pages * 2, (int)Pages * 2);
        store.Dispose();
        store = Open();
        CheckPages(Pages);
        Assert.True(store.Compact(CancellationToken.None));
        Assert.InRange(BlobBytes, dense * 95 / 100, dense * 105 / 100);
    }

    [Fact]
    public void Compacting_can_be_cancelled_before_it_begins()
    {
        Write();
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.False(store.Compact(cancelled.Token));
        CheckPages(Pages);
    }

    [Fact]
    public async Task Cancelled_it_ends_and_everything_is_as_it_was()
    {
        for (var i = 0; i < 6; i++)
            Write();
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        var before = BlobBytes;
        Assert.False(store.CollectGarbage(cancelled.Token));
        Assert.Equal(before, BlobBytes);

        using var later = new CancellationTokenSource();
        var collecting = Task.Run(() => store.CollectGarbage(later.Token));
        later.Cancel();
        await collecting; // whichever came first
        CheckPages(Pages);
        Write();
        CheckPages(Pages);
    }

    [Fact]
    public async Task Applying_and_reading_go_on_while_garbage_is_collected()
    {
        for (var i = 0; i < 5; i++)
            Write();
        var collecting = Task.Run(() => store.CollectGarbage(CancellationToken.None));
        for (var i = 0; i < 5; i++)
        {
            Write(1, 500);
            CheckPages(Pages);
        }
        await collecting;
        CheckPages(Pages);
    }
}
