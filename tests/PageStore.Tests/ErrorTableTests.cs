using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The errors that a user meets with whole stores, one a row: each names what it happened to, and says what to do, in
/// its message and to programs.
/// </summary>
public sealed class ErrorTableTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    readonly Random random = new(3);

    public void Dispose() => temp.Dispose();

    /// <summary>What is wrong: the error, the name of what it happened to, and how to come there.</summary>
    static readonly Dictionary<string, (RecoveryError Error, string Path, Func<ErrorTableTests, Task> Do)> Rows = new()
    {
        ["a store that is open already"] = (RecoveryError.Busy, "store", t => t.With(_ => Store.Open(t.Options()))),
        ["a follower's directory, to be written"] = (RecoveryError.ReadOnly, "replica", t => t.OpenReplica()),
        ["a restore that has not finished"] = (RecoveryError.CannotOpen, "store", t => t.OpenUnfinished()),
        ["a store whose log is gone"] = (RecoveryError.Corrupt, "log", t => t.OpenWithout("log")),
        ["a store whose author is damaged"] = (RecoveryError.Corrupt, "author", t => t.OpenWithAuthor("nobody")),
        ["sync without a remote"] = (RecoveryError.Invalid, "store", t => t.With(store => store.SyncRemote())),
        ["durability=remote without one"] =
            (RecoveryError.Invalid, "store", t => t.With(store => store.WaitRestorable(1))),
        ["the remote of a store that has none"] =
            (RecoveryError.Invalid, "store", t => t.With(store => store.RemoteOrThrow())),
        ["a directory that was moved under the store"] = (RecoveryError.IoWrite, "store", t => t.WriteMoved()),
        ["a restore into a directory with something in it"] =
            (RecoveryError.Invalid, "store", t => t.Do(() => Restore(t))),
        ["a state that the remote does not have"] =
            (RecoveryError.NotFound, "remote", async t => await t.RestoreAsync("new", RestoreTarget.At(1_000_000))),
        ["a remote that is not there"] = (RecoveryError.NotFound, "remote", t => t.Follow("replica")),
        ["a store's directory for a follower"] = (RecoveryError.Invalid, "store", t => t.FollowInto("store")),
        ["somebody's directory for a follower"] = (RecoveryError.Invalid, "other", t => t.FollowInto("other")),
        ["a directory that is followed already"] = (RecoveryError.Busy, "replica", t => t.FollowTwice()),
        ["a promotion while somebody reads"] = (RecoveryError.Busy, "replica", t => t.PromoteRead()),
        ["a replica of a store with a log"] = (RecoveryError.Invalid, "store",
            t => t.Do(() => { t.Made(); Replica.Open(t.Options()).Dispose(); })),
        ["a replica that is given another log"] = (RecoveryError.Invalid, "replica", t => t.SetTwoSources()),
        ["a view of a store that is not there"] = (RecoveryError.NotFound, "nothing",
            t => t.Do(() => StoreView.Open(t.Options("nothing")).Dispose())),
        ["a remote that another log is in"] = (RecoveryError.Invalid, "remote", t => t.ShipToAnothers()),
    };

    public static TheoryData<string> Names => [.. Rows.Keys];

    [Theory, MemberData(nameof(Names))]
    public async Task An_error_says_what_it_happened_to_and_what_to_do(string name)
    {
        var (error, path, meet) = Rows[name];
        var e = await Assert.ThrowsAsync<RecoveryException>(() => meet(this));
        Assert.Equal(error, e.Error);
        Assert.NotNull(e.Path);
        Assert.Equal(path, System.IO.Path.GetFileName(e.Path.TrimEnd('/')));
        Assert.False(string.IsNullOrWhiteSpace(e.Hint), $"No hint: {e.Message}");
        Assert.Contains(e.Hint!, e.Message);
        Assert.Equal(error == RecoveryError.Busy, e.IsTransient);
        if (e.Lsn is { } lsn) Assert.Contains($"{lsn}", e.Message);
    }

    StoreOptions Options(string name = "store", string? remote = null) => new()
    {
        Directory = temp[name],
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = remote is null
            ? null
            : new RemoteOptions { Url = Url(remote), SyncInterval = TimeSpan.FromMilliseconds(5) },
    };

    string Url(string remote) => new Uri(temp[remote]).AbsoluteUri;

    FollowerOptions Following(string name, string remote = "remote")
        => new() { Url = Url(remote), Store = Options(name), Interval = TimeSpan.FromMilliseconds(5) };

    Task Do(Action action)
    {
        action();
        return Task.CompletedTask;
    }

    /// <summary>A store with commits in it, closed.</summary>
    void Made(string? remote = null)
    {
        using var store = Store.Open(Options("store", remote));
        for (var i = 0; i < 3; i++) StoreTests.Transaction(random, store, model);
        if (remote is null) store.Sync();
        else store.SyncRemote();
    }

    Task With(Action<Store> action)
    {
        using var store = Store.Open(Options());
        action(store);
        return Task.CompletedTask;
    }

    async Task OpenReplica()
    {
        Made("remote");
        await using (await Follower.StartAsync(Following("replica"))) { }
        Store.Open(Options("replica")).Dispose();
    }

    Task OpenUnfinished()
    {
        Options().Home.Create();
        Options().Home.BeginOver();
        Store.Open(Options()).Dispose();
        return Task.CompletedTask;
    }

    Task OpenWithout(string directory)
    {
        using (var store = Store.Open(Options()))
        {
            for (var i = 0; i < 3; i++) StoreTests.Transaction(random, store, model);
            store.Checkpoint();
        }
        Directory.Delete(System.IO.Path.Combine(temp["store"], directory), recursive: true);
        Store.Open(Options()).Dispose();
        return Task.CompletedTask;
    }

    Task OpenWithAuthor(string text)
    {
        Made("remote");
        File.WriteAllText(System.IO.Path.Combine(temp["store"], "author"), text);
        Store.Open(Options("store", "remote")).Dispose();
        return Task.CompletedTask;
    }

    Task WriteMoved()
    {
        using var store = Store.Open(Options());
        StoreTests.Transaction(random, store, model);
        Directory.Move(temp["store"], temp["elsewhere"]);
        for (var i = 0; i < 1_000_000; i++) store.ThrowUnlessWritable();
        return Task.CompletedTask;
    }

    static void Restore(ErrorTableTests t)
    {
        t.Made("remote");
        t.RestoreAsync("store", default).GetAwaiter().GetResult();
    }

    async Task RestoreAsync(string into, RestoreTarget target)
    {
        if (!Directory.Exists(temp["remote"])) Made("remote");
        await using var objects = RemoteUrl.Parse(Url("remote")).Open(readOnly: true);
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, target);
        await StoreRestore.RestoreAsync(plan, Options(into));
    }

    async Task Follow(string into)
    {
        Directory.CreateDirectory(temp["remote"]);
        await using var follower = await Follower.StartAsync(Following(into));
    }

    async Task FollowInto(string into)
    {
        Made("remote");
        if (into == "other")
        {
            Directory.CreateDirectory(temp["other"]);
            File.WriteAllText(System.IO.Path.Combine(temp["other"], "precious"), "");
        }
        await using var follower = await Follower.StartAsync(Following(into));
    }

    async Task FollowTwice()
    {
        Made("remote");
        await using var first = await Follower.StartAsync(Following("replica"));
        await using var second = await Follower.StartAsync(Following("replica"));
    }

    async Task PromoteRead()
    {
        Made("remote");
        await using var follower = await Follower.StartAsync(Following("replica"));
        await follower.CaughtUpAsync();
        using var reader = follower.Read();
        await follower.PromoteAsync();
    }

    Task SetTwoSources()
    {
        using var replica = Replica.Open(Options("replica"));
        replica.SetSource(Guid.NewGuid(), 1);
        replica.SetSource(Guid.NewGuid(), 1);
        return Task.CompletedTask;
    }

    async Task ShipToAnothers()
    {
        Made("remote");
        using (var other = Store.Open(Options("other")))
            StoreTests.Transaction(random, other, new(StringComparer.Ordinal));
        using var store = Store.Open(Options("other", "remote"));
        await store.Remote!.WhenRestorableAsync(store.Lsn.Last);
    }
}
