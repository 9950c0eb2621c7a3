using System.Diagnostics;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Bench;

/// <summary>
/// From nothing to the first row of a database in a remote, and to a thousand of its rows: with pages that come when
/// they are read, against a follower that fetches all of them first.
/// </summary>
internal sealed class LazyOpenCase : Case
{
    const int Queries = 1000;

    static readonly TimeSpan slow = TimeSpan.FromMilliseconds(20);

    public override IReadOnlyList<string> Names => ["lazy-first-query", "lazy-1000-queries",
        "lazy-first-query-requests", "lazy-first-query-slow"];

    public override void Run(Place place, Report report)
    {
        var megabytes = place.Pick(900, 150);
        var url = RemoteServer.NewUrl();
        RemoteChild.Run("ship", place.Ours.PathOf("writer"), url, megabytes);
        var rounds = place.Rounds(7, 5);
        var (lazy, whole) = (new (double First, double All)[rounds], new (double First, double All)[rounds]);
        for (var round = 0; round < rounds; round++)
        {
            lazy[round] = Read(place, url, "lazy", Table.RowsFor(megabytes), round);
            whole[round] = Read(place, url, "all", Table.RowsFor(megabytes), round);
        }
        var unit = $"ms from nothing, {megabytes} MB (stock: all of it fetched first)";
        report.AddCost("lazy-first-query", unit, Interleaved.Median([.. lazy.Select(r => r.First)]),
            Interleaved.Median([.. whole.Select(r => r.First)]), null);
        report.AddCost("lazy-1000-queries", unit, Interleaved.Median([.. lazy.Select(r => r.All)]),
            Interleaved.Median([.. whole.Select(r => r.All)]), null);
        var slowly = Enumerable.Range(0, rounds).Select(round => ReadSlowly(place, megabytes, round)).ToList();
        report.AddLimited("lazy-first-query-requests", $"requests that read, {megabytes} MB in a directory",
            Interleaved.Median([.. slowly.Select(r => r.Requests)]), 12);
        report.AddLimited("lazy-first-query-slow", $"ms, {megabytes} MB in a directory, 20 ms a request",
            Interleaved.Median([.. slowly.Select(r => r.Milliseconds)]), 200);
    }

    /// <summary>The same for a store far away; how many requests it was asked before the first row.</summary>
    static (double Milliseconds, double Requests) ReadSlowly(Place place, int megabytes, int seed)
    {
        var url = slowUrl ??= ShipToDirectory(place, megabytes);
        var directory = place.Ours.PathOf($"slow-{seed}");
        Directory.CreateDirectory(directory);
        var (random, requests, started) = (new Random(seed), 0, Stopwatch.GetTimestamp());
        var follower = Task.Run(async () =>
        {
            var begun = await Follower.StartAsync(new FollowerOptions
            {
                Url = url,
                Store = new StoreOptions { Directory = Path.Combine(directory, ".recovery") },
                Fetch = FetchMode.Lazy,
                Open = () => new SlowStore(RemoteUrl.Parse(url).Open(readOnly: false), slow,
                    () => Interlocked.Increment(ref requests)),
            });
            await begun.ReadableAsync(TimeSpan.FromMinutes(1));
            return begun;
        }).GetAwaiter().GetResult();
        using (var connection = new Connection($"file:{directory}/a.db?vfs=recovery&mode=ro"))
        {
            var row = random.Next(1, Table.RowsFor(megabytes) + 1);
            if (connection.Do($"SELECT length(v) FROM t WHERE id={row}") == 0)
                throw new InvalidOperationException("A row is wrong.");
        }
        var result = (Stopwatch.GetElapsedTime(started).TotalMilliseconds, (double)Volatile.Read(ref requests));
        follower.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Directory.Delete(directory, recursive: true);
        return result;
    }

    static string? slowUrl;

    static string ShipToDirectory(Place place, int megabytes)
    {
        var url = RemoteServer.NewDirectoryUrl();
        RemoteChild.Run("ship", place.Ours.PathOf("slow-writer"), url, megabytes);
        return url;
    }

    static (double First, double All) Read(Place place, string url, string fetch, int rows, int seed)
    {
        var directory = place.Ours.PathOf($"{fetch}-{seed}");
        Directory.CreateDirectory(directory);
        var (random, started) = (new Random(seed), Stopwatch.GetTimestamp());
        double first;
        using (var connection = new Connection(
            $"file:{directory}/a.db?vfs=recovery&mode=ro&fetch={fetch}&follow={Uri.EscapeDataString(url)}"))
        {
            using var select = connection.Prepare("SELECT length(v) FROM t WHERE id=?");
            void Ask()
            {
                if (select.Bind(1, random.Next(1, rows + 1)).First() == 0)
                    throw new InvalidOperationException("A row is wrong.");
            }
            Ask();
            first = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            for (var i = 0; i < Queries; i++) Ask();
        }
        var all = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        Recovery.CloseIdleStores();
        Directory.Delete(directory, recursive: true);
        return (first, all);
    }
}
