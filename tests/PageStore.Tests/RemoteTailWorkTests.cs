using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// What it takes to read a remote's log grows with the log, not with the log times the databases and files that there
/// are.
/// </summary>
public sealed class RemoteTailWorkTests(DirectoryPlaces places) : IClassFixture<DirectoryPlaces>, IDisposable
{
    const int Databases = 400, Commits = 2000, CommitsAtOnce = 20;
    // A copy of what lives would take a hundred times as much.
    const long BytesPerCommitMax = 2000;

    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task Reading_a_log_from_its_beginning_costs_as_much_as_there_is_in_it()
    {
        var place = await places.NewAsync();
        using var store =
            Store.Open(new StoreOptions
            {
                Directory = temp["store"],
                PageCacheBytes = 1 << 20,
                Remote = place.Options
            });
        for (var i = 0; i < Databases; i++)
        {
            Commit(store, i);
            store.OpenFile($"{i}.db-wal", create: true)!.Dispose();
        }
        store.SyncRemote();
        for (var i = 0; i < Commits; i++)
        {
            Commit(store, i % Databases);
            if (i % CommitsAtOnce == 0) store.WaitRestorable(store.Lsn.Last);
        }
        store.SyncRemote();

        Assert.InRange(BytesPerCommit(store), 1, BytesPerCommitMax);

        await using var objects = place.Open();
        var seen = 0;
        var tail = new RemoteTail(new RemoteContext { Store = objects },
            new RemoteTailOptions { From = TailStart.At(1), Once = true, WithPages = false });
        await foreach (var commit in tail.ReadAsync()) seen += commit.Kind == TailedKind.Commit ? 1 : 0;
        Assert.Equal(Databases + Commits, seen);
        // One for each segment, and some to find the way.
        Assert.InRange(objects.Counters.TotalRequests, 1, (await place.NamesAsync("log/")).Count + 30);
    }

    static void Commit(Store store, int number)
    {
        var database = store.Create($"{number}.db");
        using var overlay = store.BeginOverlay(database, database.Current);
        overlay.Write(0, new byte[512]);
        store.Commit([overlay], durable: false);
    }

    /// <summary>What the making of commits out of records allocates.</summary>
    static long BytesPerCommit(Store store)
    {
        var records = new TailRecords(new LiveFiles(), withPages: false);
        var found = new List<TailedCommit>();
        var (bytes, commits) = (0L, 0);
        using var cursor = store.Log.ReadFrom(1, LogReach.Written, "a test");
        while (cursor.TryRead(out var record))
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            records.Take(record, 1, found);
            bytes += GC.GetAllocatedBytesForCurrentThread() - before;
            commits += found.Count;
            found.Clear();
        }
        return bytes / commits;
    }
}
