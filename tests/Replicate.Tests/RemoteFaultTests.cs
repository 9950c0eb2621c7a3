using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A mirror that ships to an object store which refuses requests, and loses them and its answers: what was said to be
/// there is there, page by page.
/// </summary>
public sealed class RemoteFaultTests
{
    static readonly SimulatedFaults Faults = new() { Refuse = 0.1, LoseRequest = 0.1, LoseAnswer = 0.15 };

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    [Trait(Seeds.Kind, Seeds.Random)]
    public Task What_an_unreliable_remote_has_said_to_have_is_restored(string mode) => Seeds.OnceAsync(random =>
        RunAsync(mode, random));

    static async Task RunAsync(string mode, Random random)
    {
        var bucket = new SimulatedBucket(TimeProvider.System);
        using var scratch = new Scratch();
        using var app = scratch.Open("app.db", $"PRAGMA journal_mode={mode}",
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
        for (var round = 0; round < 2; round++)
        {
            // Each round is a new process' way there.
            using var site = new MirrorSite(scratch: scratch, remote: new RemoteOptions
            {
                Url = "file:///simulated",
                SyncInterval = TimeSpan.FromMilliseconds(10),
                Open = _ => new SimulatedObjectStore(bucket, new SharedRandom(random.Next()), Faults),
            });
            for (var step = 0; step < 4; step++)
            {
                for (var i = random.Next(1, 12); i > 0; i--)
                {
                    app.Run(random.Next(6) == 0 ? "DELETE FROM t WHERE a % 3 = 0"
                        : "INSERT INTO t(b) VALUES (randomblob(500))");
                    if (random.Next(2) == 0) site.Watched.Look();
                }
                site.LookAndCompare();
                site.Store.SyncRemote(TimeSpan.FromMinutes(2));
                Assert.Equal(site.Expected(), await RestoredAsync(bucket, scratch, $"restored-{round}-{step}"));
            }
            Assert.Equal(1, site.Watched.Joins);
        }
    }

    static async Task<byte[]> RestoredAsync(SimulatedBucket bucket, Scratch scratch, string name)
    {
        await using var objects = new SimulatedObjectStore(bucket, new Random(1));
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest);
        await StoreRestore.RestoreAsync(plan, new StoreOptions { Directory = scratch.At(name) });
        using var store = PageStore.Writing.Store.Open(new StoreOptions { Directory = scratch.At(name) });
        return MirrorSite.BytesOf(store.Find("app.db")!);
    }

    /// <summary>Requests draw from it on any thread.</summary>
    sealed class SharedRandom(int seed) : Random(seed)
    {
        readonly Lock gate = new();

        public override double NextDouble()
        {
            lock (gate) return base.NextDouble();
        }

        public override long NextInt64(long maxValue)
        {
            lock (gate) return base.NextInt64(maxValue);
        }
    }
}
