using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;
using RecoveryVfs.TestServers;
using Xunit.Abstractions;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>
/// Whole lives on real object stores, with real threads and real time. The classes below run it on each.
/// </summary>
public abstract class RealRemoteTests
{
    static readonly string Scratch = Path.GetTempPath();

    private protected abstract Task<Func<IObjectStore>> NewRemoteAsync();

    static ToyMachine NewMachine(IObjectStore store, ulong author = 7) =>
        new(new PowerLossDisk(), store, TimeProvider.System, new Random(5),
            author)
        { SyncInterval = TimeSpan.FromMilliseconds(20) };

    static async Task<ToyRestore> RestoreAsync(IObjectStore store, RestoreTarget target) =>
        await ToyRestore.RunAsync(await RestorePlanner.PlanAsync(new RemoteContext { Store = store }, target), Scratch);

    [Fact]
    public async Task A_life_with_restores_a_successor_and_collection()
    {
        var open = await NewRemoteAsync();
        await using var store = open();
        var machine = NewMachine(store).Open(mayCreate: true);
        await machine.Shipper.ConnectedAsync();
        await machine.PublishAsync();
        var states = new Dictionary<ulong, string>();
        for (int i = 0; i < 5; i++)
        {
            for (int c = 0; c < 10; c++)
                states[machine.Commit(parts: 1 + c % 4, padding: 200)] = machine.State.Describe();
            machine.WriteJournal();
            machine.Flush();
            await machine.PublishAsync();
        }
        ulong last = machine.Commit();
        states[last] = machine.State.Describe();
        await machine.Shipper.WaitShippedAsync(last);
        foreach (ulong lsn in states.Keys.Where((_, i) => i % 9 == 0).Append(last))
            Assert.Equal(states[lsn], (await RestoreAsync(store, RestoreTarget.At(lsn))).State.Describe());

        await using var other = open();
        var successor =
            (await ToyMachine.TakeOverAsync(other, TimeProvider.System, new Random(6), 8, Task.Run, Scratch))!;
        Assert.Equal(machine.State.Describe(), successor.State.Describe());
        successor.Commit();
        successor.Flush();
        await successor.PublishAsync();
        var e = await Assert.ThrowsAsync<RecoveryException>(() => machine.Shipper.WaitShippedAsync(machine.Commit()));
        Assert.Equal((RecoveryError.Fenced, store.Location, (ulong?)last + 1), (e.Error, e.Path, e.Lsn));
        Assert.False(e.IsTransient);
        Assert.Contains("recovery salvage", e.Hint);
        Assert.EndsWith(e.Hint!, e.Message);

        await successor.Collector.CollectAsync(
            new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.FromMilliseconds(1) });
        Assert.Equal(successor.State.Describe(), (await RestoreAsync(other, RestoreTarget.Newest)).State.Describe());
        await machine.CloseAsync();
        await successor.CloseAsync();
    }

    [Fact]
    public async Task Of_many_who_take_over_at_once_exactly_one_does()
    {
        var open = await NewRemoteAsync();
        await using var store = open();
        var machine = NewMachine(store).Open(mayCreate: true);
        machine.Commit();
        await machine.PublishAsync();
        await machine.CloseAsync();
        var context = new RemoteContext { Store = store };
        var remote = (await StoreObject.FetchAsync(store))!;
        for (int round = 0; round < 5; round++)
        {
            var (end, last) = await context.FindEndAsync(remote);
            last!.Dispose();
            var racing = Enumerable.Range(0, 16)
                .Select(i => Task.Run(async ()
                => await RemoteTenure.TakeOverAsync(context, remote, end, (ulong)(1000 + i)))).ToArray();
            var results = await Task.WhenAll(racing);
            Assert.Single(results, r => r is not null);
            var (after, segment) = await context.FindEndAsync(remote);
            segment!.Dispose();
            Assert.Equal(results.Single(r => r is not null), after);
        }
    }

    [Fact]
    public async Task Many_threads_wait_for_the_remote_and_share_its_segments()
    {
        var open = await NewRemoteAsync();
        await using var store = open();
        var machine = NewMachine(store).Open(mayCreate: true);
        await machine.Shipper.ConnectedAsync();
        long before = store.Counters.Requests(RequestKind.Create, ObjectClass.Log);
        const int Threads = 16, Rounds = 20;
        var gate = new Lock();
        using var together = new Barrier(Threads);
        var threads = Enumerable.Range(0, Threads).Select(_ => Task.Factory.StartNew(() =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                ulong lsn;
                lock (gate) lsn = machine.Commit(durable: false);
                // All have committed before anybody waits, and all are shipped before anybody commits again.
                together.SignalAndWait();
                machine.Shipper.WaitShipped(lsn);
                Assert.True(machine.Shipper.ShippedLsn >= lsn);
                together.SignalAndWait();
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        await Task.WhenAll(threads);
        // One for all of a round, and one that may have been on its way before the last of them committed.
        Assert.InRange(store.Counters.Requests(RequestKind.Create, ObjectClass.Log) - before, Rounds, 2 * Rounds);
        await machine.CloseAsync();
    }
}

public sealed class FileRemoteTests : RealRemoteTests, IDisposable
{
    readonly string directory = Directory.CreateTempSubdirectory("recovery-remote-").FullName;

    private protected override Task<Func<IObjectStore>> NewRemoteAsync() =>
        Task.FromResult<Func<IObjectStore>>(()
            => RemoteUrl.Parse(new Uri(Path.Combine(directory, "remote")).AbsoluteUri, _ => null).Open());

    public void Dispose() => Directory.Delete(directory, true);
}

[Collection(S3Collection.Name)]
public sealed class S3RemoteTests(S3Server server, ITestOutputHelper output) : RealRemoteTests
{
    private protected override async Task<Func<IObjectStore>> NewRemoteAsync()
    {
        var url = await server.NewRemoteAsync();
        return () => new S3ObjectStore(url, TimeProvider.System, S3Server.Credentials);
    }

    [Fact]
    public async Task Server_that_dies_and_comes_back_loses_nothing()
    {
        var open = await NewRemoteAsync();
        await using var store = open();
        var machine =
            new ToyMachine(new PowerLossDisk(), store, TimeProvider.System, new Random(5),
            7)
            { SyncInterval = TimeSpan.FromMilliseconds(5) }.Open(mayCreate: true);
        await machine.PublishAsync();
        for (int round = 0; round < 3; round++)
        {
            var waiting = new List<Task>();
            for (int i = 0; i < 20; i++) waiting.Add(machine.Shipper.WaitShippedAsync(machine.Commit(padding: 1000)));
            server.StopGateway();
            for (int i = 0; i < 20; i++) waiting.Add(machine.Shipper.WaitShippedAsync(machine.Commit(padding: 1000)));
            server.StartGateway();
            await Task.WhenAll(waiting);
        }
        Assert.Equal(ShipperPhase.Shipping, machine.Shipper.State.Phase);
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = store }, RestoreTarget.Newest);
        Assert.Equal(machine.State.Describe(), (await ToyRestore.RunAsync(plan, Path.GetTempPath())).State.Describe());
        await machine.CloseAsync();
    }

    [Fact]
    public async Task Waiting_for_the_remote_costs_about_one_put()
    {
        var open = await NewRemoteAsync();
        await using var store = open();
        var machine = new ToyMachine(new PowerLossDisk(), store, TimeProvider.System, new Random(5), 7)
            .Open(mayCreate: true);
        await machine.Shipper.ConnectedAsync();
        var puts = new List<double>();
        var commits = new List<double>();
        for (int i = 0; i < 200; i++)
        {
            long at = Stopwatch.GetTimestamp();
            await store.CreateAsync($"probe/{i}", new byte[300]);
            puts.Add(Stopwatch.GetElapsedTime(at).TotalMilliseconds);
            ulong lsn = machine.Commit(padding: 100);
            at = Stopwatch.GetTimestamp();
            machine.Shipper.WaitShipped(lsn);
            commits.Add(Stopwatch.GetElapsedTime(at).TotalMilliseconds);
        }
        puts.Sort();
        commits.Sort();
        output.WriteLine(
            $"PUT p50 {puts[100]:0.00} ms, commit to remote p50 {commits[100]:0.00} ms; "
                + store.Counters.BytesSent(ObjectClass.Log) / store.Counters.Requests(RequestKind.Create,
                ObjectClass.Log)
                + " bytes a segment");
        // The machine may be busy: what is promised is within 2 ms; a broken wake-up would cost the interval, a second.
        Assert.InRange(commits[100] - puts[100], -100, 50);
        await machine.CloseAsync();
    }
}
