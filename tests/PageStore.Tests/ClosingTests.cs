using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.Testing;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>A store that was closed has little to do when it is opened next.</summary>
public sealed class ClosingTests : IDisposable
{
    const int Pages = 1000;
    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task What_hints_were_too_early_for_is_in_files_too()
    {
        var disk = new TroubledDisk();
        var options = new StoreOptions { Directory = temp["store"], Disk = disk };
        var checkpoint = Task.CompletedTask;
        ulong lsn;
        using (var store = Store.Open(options))
        {
            var database = store.Create("a.db");
            store.Sync();
            var (before, page) = (store.Lsn.Last, new byte[4096]);
            using var overlay = store.BeginOverlay(database, database.Current);
            for (var i = 0; i < Pages; i++)
            {
                page.AsSpan().Fill((byte)i);
                overlay.Write(i * 4096L, page);
            }
            var began = 0;
            disk.BeforeSync = path =>
            {
                if (store.Lsn.Last == before || path.Contains("spare-") || Interlocked.Exchange(ref began, 1) != 0)
                    return;
                // A slow disk: the commit is in the log, and no reader's yet. Hints made meanwhile have its LSN, and
                // the pages hold nothing of it.
                checkpoint = Task.Run(store.Checkpoint);
                Thread.Sleep(TimeSpan.FromSeconds(1));
            };
            lsn = store.Commit([overlay], durable: true);
            await checkpoint;
        }
        using var again = Store.Open(options);
        Assert.True(ulong.Parse(again.Status().Single(row => row.Key == "persisted_lsn").Value) >= lsn);
    }
}
