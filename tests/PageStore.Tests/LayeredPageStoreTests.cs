using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Views;
using static RecoveryVfs.PageStore.Tests.PageStoreTestExtensions;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>A page store over another process's files keeps the contract with nothing below.</summary>
public sealed class LayeredPageStoreContractTests : PageStoreContract
{
    private protected override IPageStore Open() => new LayeredPageStore(null, Temp.Path);
}

/// <summary>Pages above another's files, which are replaced by newer ones again and again.</summary>
public sealed class LayeredPageStoreTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly History history = new(seed: 5);

    public void Dispose() => temp.Dispose();

    RocksPageStore OpenFiles() => RocksPageStore.Open(new() { Directory = temp["pages"], Mode = RocksMode.ReadOnly });

    [Fact]
    public void It_shows_the_same_whatever_files_lie_below()
    {
        using var writer =
            RocksPageStore.Open(
            new() { Directory = temp["pages"], WriteBufferBytes = 128 << 10, GarbageShareMax = 0.2 });
        history.WriteTo(writer, 30);
        writer.Flush();
        using var layered = new LayeredPageStore(OpenFiles(), temp.Path);
        var random = new Random(5);
        var snapshots = new List<IPageSnapshot>();
        for (ulong lsn = 31; lsn <= 600; lsn++)
        {
            history.Write(writer, lsn);
            history.Write(layered, lsn);
            if (random.Next(20) == 0) snapshots.Add(layered.Snapshot());
            if (random.Next(15) == 0) writer.Flush();
            if (random.Next(40) == 0) writer.CollectGarbage(CancellationToken.None);
            if (random.Next(25) == 0 && layered.IsStale(temp["pages"])) layered.Rebase(OpenFiles());
            if (random.Next(10) == 0) history.Check(layered);
            if (snapshots.Count == 0 || random.Next(20) != 0) continue;
            var snapshot = snapshots[random.Next(snapshots.Count)];
            history.Check(layered, snapshot);
            snapshots.Remove(snapshot);
            snapshot.Dispose();
        }
        foreach (var snapshot in snapshots)
        {
            history.Check(layered, snapshot);
            snapshot.Dispose();
        }
    }

    [Fact]
    public void A_large_commit_of_which_the_files_below_hold_a_part_stays_above_as_a_whole()
    {
        using var writer = RocksPageStore.Open(new() { Directory = temp["pages"] });
        writer.Commit(1, batch => Put(batch, 1, 1, 6));
        writer.Flush();
        using var layered = new LayeredPageStore(OpenFiles(), temp.Path);
        Commit(layered, 2, 1, 3);
        Commit(writer, 2, 1, 3);
        // Of LSN 3 the writer has brought in a part, and flushed.
        writer.Commit(null, batch =>
        {
            batch.DeleteRange(1, 5, uint.MaxValue);
            Put(batch, 3, 1, 2);
        });
        writer.Flush();
        layered.Commit(null, batch =>
        {
            batch.DeleteRange(1, 5, uint.MaxValue);
            Put(batch, 3, 1, 2);
        });
        layered.Commit(3, batch => Put(batch, 3, 3, 3));
        layered.Rebase(OpenFiles());
        Assert.Equal([(1u, 3ul), (2, 3), (3, 3), (4, 1)], Shown(layered));
        Commit(layered, 4, 6, 6);
        Commit(writer, 4, 6, 6);
        writer.Flush();
        layered.Rebase(OpenFiles());
        Assert.Equal(6u, Shown(layered)[^1].Page);
        Assert.Equal(0, layered.AboveBytes);
    }

    static List<(uint Page, ulong Lsn)> Shown(IPageStore store)
        => [.. store.ScanAll(1).Select(p => (p.Page, LsnOf(1, p.Page, p.Value)))];

    static void Commit(IPageStore store, ulong lsn, uint first, uint last)
        => store.Commit(lsn, batch => Put(batch, lsn, first, last));

    static void Put(IPageBatch batch, ulong lsn, uint first, uint last)
    {
        for (var page = first; page <= last; page++) batch.Put(1, page, Page(1, page, lsn));
    }
}
