using System.Diagnostics;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A writer that opens its store and whose remote is another one's by then: it learns that before it has taken
/// anything.
/// </summary>
public sealed class FencedOpeningTests(DirectoryPlaces places) : IClassFixture<DirectoryPlaces>, IDisposable
{
    readonly TempDirectory temp = new();
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    readonly Random random = new(11);

    public void Dispose() => temp.Dispose();

    RemotePlace place = null!;

    StoreOptions Options(string name, Func<IObjectStore, IObjectStore>? way = null) => new()
    {
        Directory = temp[name],
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = place.Options with { Open = _ => way is null ? place.Open() : way(place.Open()) },
    };

    void Transactions(Store store, int count)
    {
        for (; count > 0; count--) StoreTests.Transaction(random, store, model);
    }

    /// <summary>A store that has shipped, and another one that has taken its remote over since.</summary>
    async Task TakeOverAsync()
    {
        place = await places.NewAsync();
        using (var old = Store.Open(Options("old")))
        {
            Transactions(old, 5);
            old.SyncRemote();
        }
        await place.RestoreAsync(Options("new") with { Remote = null });
        using var successor = Store.Open(Options("new"));
        successor.SyncRemote();
    }

    [Fact]
    public async Task The_first_transaction_is_refused_and_nothing_is_added_to_the_log()
    {
        await TakeOverAsync();
        using var old = Store.Open(Options("old"));
        var before = old.Lsn.Last;
        Assert.Equal(RecoveryError.Fenced, Assert.Throws<RecoveryException>(() => Transactions(old, 1)).Error);
        Assert.Equal(before, old.Lsn.Last);
        // It can be read as ever.
        Assert.Empty(old.Verify(null, default));
    }

    [Fact]
    public async Task Plain_files_take_nothing_either()
    {
        await TakeOverAsync();
        using var old = Store.Open(Options("old"));
        Assert.Equal(RecoveryError.Fenced, Assert.Throws<RecoveryException>(() =>
        {
            using var wal = old.OpenFile("a.db-wal", create: true)!;
            wal.Write(0, new byte[64]);
        }).Error);
    }

    [Fact]
    public async Task While_the_remote_is_away_commits_go_on()
    {
        await TakeOverAsync();
        using var old = Store.Open(Options("old", inner => new CutOffStore(inner, () => true)));
        Transactions(old, 1);
        StoreTests.Compare(old, model);
    }

    [Fact]
    public async Task A_remote_that_never_answers_holds_up_only_the_first_commit_and_not_for_long()
    {
        await TakeOverAsync();
        var answer = new TaskCompletionSource();
        var old = Store.Open(Options("old", inner => new WatchedStore(inner, _ => answer.Task)));
        var started = Stopwatch.GetTimestamp();
        Transactions(old, 1);
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 1, 60);
        Transactions(old, 3);
        StoreTests.Compare(old, model);
        answer.SetResult();
        old.Dispose();
    }
}
