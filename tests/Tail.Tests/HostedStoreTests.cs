using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RecoveryVfs.Hosting;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// A store that lives with a host: whether its commits can be restored, what is logged, counted and traced of it.
/// </summary>
public abstract class HostedStoreTests : IDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private protected abstract Site Site { get; }

    /// <summary>The remote cannot be reached any more.</summary>
    protected abstract void Break();

    protected abstract void Mend();

    public virtual void Dispose()
    {
        Site.Dispose();
        GC.SuppressFinalize(this);
    }

    IHost Build(RecoveryHealthOptions health, LogEvents? log = null, bool follow = false)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.ClearProviders();
        if (log is not null) builder.Logging.AddProvider(log);
        builder.Services.AddRecovery();
        if (follow) builder.Services.AddRecoveryFollower(Site.Url, Site.PathOf("follower"));
        builder.Services.AddHealthChecks().AddRecovery(options: health);
        return builder.Build();
    }

    RecoveryHealthOptions Writers => new() { Stores = [Site.PathOf("writer")] };

    static async Task<HealthReportEntry> CheckAsync(IHost host) =>
        Assert.Single((await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries).Value;

    object? Data(HealthReportEntry entry, string what)
        => entry.Data.GetValueOrDefault($"{Site.PathOf("writer/.recovery")} {what}");

    [Fact]
    public async Task It_is_healthy_only_while_commits_can_be_restored_and_the_log_says_what_happened()
    {
        var log = new LogEvents();
        using var host = Build(Writers, log);
        await host.StartAsync();
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(host)).Status);
        using (var writer = Site.Writer())
        {
            writer.Do("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
            writer.Do("PRAGMA recovery_sync");
            var well = await CheckAsync(host);
            Assert.Equal((HealthStatus.Healthy, "shipping"), (well.Status, Data(well, "state")));
            Assert.InRange((double)Data(well, "lag_seconds")!, 0, 60);
            Assert.Null(Data(well, "proof_age_seconds"));

            var away = log.WhenAsync(e => e.Id == 2 && e.Text.Contains(Bucket));
            Break();
            writer.Do("INSERT INTO t VALUES (2)");
            await away.WaitAsync(Patience);
            var ill = await CheckAsync(host);
            Assert.Equal((HealthStatus.Unhealthy, "outage"), (ill.Status, Data(ill, "state")));
            Assert.Contains(Site.PathOf("writer/.recovery"), ill.Description);
            Assert.True((long)Data(ill, "lag_records")! > 0);

            Mend();
            writer.Do("PRAGMA recovery_sync");
            Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host)).Status);
        }
        // Closed, and looked at from its directory.
        Recovery.CloseIdleStores();
        Assert.Equal((HealthStatus.Healthy, "ok"),
            (await CheckAsync(host) is var closed ? closed.Status : default, Data(closed, "state")));
        await host.StopAsync();
    }

    /// <summary>What names the remote in messages.</summary>
    string Bucket => Site.Url.Split('?')[0].Replace("file://", "", StringComparison.Ordinal);

    [Fact]
    public async Task A_follower_is_healthy_only_while_it_goes_on()
    {
        using (var writer = Site.Writer())
        {
            writer.Do("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
            writer.Do("PRAGMA recovery_sync");
        }
        Recovery.CloseIdleStores();
        using var host = Build(Writers, follow: true);
        await host.StartAsync();
        var follower = await host.Services.GetRequiredService<FollowerService>().Started.WaitAsync(Patience);
        object? State(HealthReportEntry entry) => entry.Data[$"{follower.Directory} state"];

        await follower.CaughtUpAsync().WaitAsync(Patience);
        var well = await CheckAsync(host);
        Assert.Equal((HealthStatus.Healthy, "following"), (well.Status, State(well)));
        Assert.True((ulong)well.Data[$"{follower.Directory} lsn"] > 0);

        Break();
        await follower.WhenAsync(s => s.Phase == FollowerPhase.Interrupted).WaitAsync(Patience);
        var ill = await CheckAsync(host);
        Assert.Equal((HealthStatus.Unhealthy, "interrupted"), (ill.Status, State(ill)));
        Assert.Contains(follower.Directory, ill.Description);

        Mend();
        await follower.WhenAsync(s => s.Phase == FollowerPhase.Following).WaitAsync(Patience);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host)).Status);
        await host.StopAsync();
        Assert.Equal((HealthStatus.Unhealthy, "stopped"),
            (await CheckAsync(host) is var over ? over.Status : default, State(over)));
    }

    [Fact]
    public async Task A_proof_is_asked_for_when_it_is_wanted()
    {
        using var host = Build(Writers with { MaxProofAge = TimeSpan.FromHours(1) });
        await host.StartAsync();
        using var writer = Site.Writer();
        writer.Do("CREATE TABLE t(a)");
        writer.Do("PRAGMA recovery_sync");
        var unproved = await CheckAsync(host);
        Assert.Equal(HealthStatus.Unhealthy, unproved.Status);
        Assert.Contains("never proved", unproved.Description);
        writer.Do("PRAGMA recovery_verify=remote");
        var proved = await CheckAsync(host);
        Assert.Equal(HealthStatus.Healthy, proved.Status);
        Assert.InRange((double)Data(proved, "proof_age_seconds")!, 0, 600);
    }

    [Fact]
    public async Task What_happens_is_counted_and_traced()
    {
        using var counted = new Counted(Site.PathOf("writer/.recovery"), Bucket);
        using (var writer = Site.Writer())
        {
            writer.Do("CREATE TABLE t(a)");
            var before = counted["recovery.commits"];
            for (var i = 0; i < 5; i++) writer.Do($"INSERT INTO t VALUES ({i})");
            Assert.Equal(before + 5, counted["recovery.commits"]);
            writer.Do("PRAGMA journal_mode=WAL");
            before = counted["recovery.commits"];
            for (var i = 0; i < 5; i++) writer.Do($"INSERT INTO t VALUES ({i})");
            Assert.Equal(before + 5, counted["recovery.commits"]);
            writer.Do("PRAGMA recovery_sync");
            writer.Do("PRAGMA recovery_verify=remote");
        }
        await Recovery.RestoreAsync(Site.Url, Site.PathOf("restored"));
        Assert.True(counted["recovery.restores"] > 0);
        Assert.True(counted["recovery.flushes"] > 0);
        Assert.Superset(new HashSet<string> { "recovery.ship", "recovery.verify", "recovery.restore" },
            counted.Activities.ToHashSet());
    }

    /// <summary>Counts of one store and its remote, and the names of activities that ended.</summary>
    sealed class Counted : IDisposable
    {
        readonly MeterListener meters = new();
        readonly ActivityListener traces = new();
        readonly ConcurrentDictionary<string, long> counts = new();

        public Counted(string store, string remote)
        {
            meters.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == "RecoveryVfs.Store") listener.EnableMeasurementEvents(instrument);
            };
            meters.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
            {
                foreach (var (name, tag) in tags)
                    if (name == "store" && tag is string s && s.StartsWith(store, StringComparison.Ordinal)
                        || name == "remote" && tag is string r && r.Contains(remote, StringComparison.Ordinal))
                        counts.AddOrUpdate(instrument.Name, value, (_, before) => before + value);
            });
            meters.Start();
            traces.ShouldListenTo = source => source.Name == "RecoveryVfs";
            traces.Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData;
            traces.ActivityStopped = activity =>
            {
                if (activity.GetTagItem("recovery.remote") is string r && r.Contains(remote, StringComparison.Ordinal))
                    Activities.Enqueue(activity.OperationName);
            };
            ActivitySource.AddActivityListener(traces);
        }

        public ConcurrentQueue<string> Activities { get; } = new();

        public long this[string name] => counts.GetValueOrDefault(name);

        public void Dispose()
        {
            meters.Dispose();
            traces.Dispose();
        }
    }

    /// <summary>A log whose events can be waited for.</summary>
    sealed class LogEvents : ILoggerProvider, ILogger
    {
        readonly Lock gate = new();
        readonly List<(Func<(int Id, string Text), bool> Which, TaskCompletionSource Seen)> waiting = [];

        public Task WhenAsync(Func<(int Id, string Text), bool> which)
        {
            var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (gate) waiting.Add((which, seen));
            return seen.Task;
        }

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? error, Func<TState, Exception?,
            string> format)
        {
            lock (gate)
                foreach (var (which, seen) in waiting)
                    if (which((id.Id, format(state, error)))) seen.TrySetResult();
        }

        public ILogger CreateLogger(string categoryName) => this;

        public bool IsEnabled(LogLevel level) => true;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public void Dispose() { }
    }
}

public sealed class DirectoryHostedStoreTests : HostedStoreTests
{
    private protected override Site Site { get; } = new();

    protected override void Break()
    {
        Directory.Move(Site.PathOf("bucket"), Site.PathOf("bucket.away"));
        File.WriteAllText(Site.PathOf("bucket"), "");
    }

    protected override void Mend()
    {
        File.Delete(Site.PathOf("bucket"));
        Directory.Move(Site.PathOf("bucket.away"), Site.PathOf("bucket"));
    }
}

[Collection(S3Collection.Name)]
public sealed class S3HostedStoreTests : HostedStoreTests
{
    readonly S3Server server;

    public S3HostedStoreTests(S3Server server)
    {
        this.server = server;
        S3Server.SetEnvironment();
        Site = new Site($"s3://{server.NewBucketAsync().GetAwaiter().GetResult()}/app?endpoint={server.Endpoint}");
    }

    private protected override Site Site { get; }

    protected override void Break() => server.StopGateway();

    protected override void Mend() => server.StartGateway();
}
