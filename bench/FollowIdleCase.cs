using System.Diagnostics;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Bench;

/// <summary>
/// What an idle follower asks of an S3 server, and how long a promotion takes, to the new writer's first commit.
/// </summary>
internal sealed class FollowIdleCase : Case
{
    public override IReadOnlyList<string> Names => ["follow-idle", "follow-promotion", "follow"];

    public override void Run(Place place, Report report)
    {
        using var site =
            new FollowSite(place, FollowSite.NewRemote(place, s3: true), "durability=remote&sync-interval=5");
        using var writer = site.Write();
        writer.Do("INSERT INTO t(at) VALUES(1)");
        writer.Do("PRAGMA recovery_sync=remote");
        var objects = RemoteUrl.Parse(site.Url).Open();
        var directory = site.PathOf("follower");
        var follower = Follower.StartAsync(new FollowerOptions
        {
            Url = site.Url,
            Store = new StoreOptions { Directory = Path.Combine(directory, ".recovery") },
            Open = () => new Kept(objects),
        }).GetAwaiter().GetResult();
        follower.CaughtUpAsync().GetAwaiter().GetResult();
        // It looks less and less often; by then as rarely as it is to.
        Thread.Sleep(TimeSpan.FromSeconds(12));
        var (before, began) = (objects.Counters.TotalRequests, Stopwatch.GetTimestamp());
        // The time over which its requests are counted: at full size more than the minute between two listings.
        Thread.Sleep(TimeSpan.FromSeconds(place.Pick(70, 20)));
        report.AddLimited("follow-idle", "requests/s of an idle follower",
            (objects.Counters.TotalRequests - before) / Stopwatch.GetElapsedTime(began).TotalSeconds, 1);

        writer.Do("INSERT INTO t(at) VALUES(2)");
        began = Stopwatch.GetTimestamp();
        follower.PromoteAsync().GetAwaiter().GetResult();
        using var promoted = site.Write("follower");
        promoted.Do("INSERT INTO t(at) VALUES(3)");
        var ms = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        if (promoted.Do("SELECT count(*) FROM t") != 3)
            throw new InvalidOperationException("A commit is missing after the promotion.");
        report.AddLimited("follow-promotion", "ms, from the order to the first commit (durability=remote)", ms, 2000);
    }

    /// <summary>An object store that outlives those who use it, so that its counters do.</summary>
    sealed class Kept(IObjectStore store) : IObjectStore
    {
        public string Location => store.Location;
        public RequestCounters Counters => store.Counters;
        public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content, CancellationToken cancellation)
            => store.CreateAsync(name, content, cancellation);
        public ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes, long? lengthBytes,
            CancellationToken cancellation) => store.GetAsync(name, offsetBytes, lengthBytes, cancellation);
        public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation)
            => store.HeadAsync(name, cancellation);
        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter, CancellationToken cancellation)
            => store.ListAsync(prefix, startAfter, cancellation);
        public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation)
            => store.DeleteAsync(names, cancellation);
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
