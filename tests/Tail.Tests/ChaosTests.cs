using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.TestServers;
using Xunit.Abstractions;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// Real processes on a real S3 server: a writer under load (durability=remote), recovery-tail and a reading program
/// that follow it. Any of them is killed, the gateway dies or hangs, the follower is promoted while the old writer goes
/// on, again and again. In the end all agree byte for byte, and every commit that returned is there. While soaking it
/// goes on for long; RECOVERY_SEED draws the same misfortunes.
/// </summary>
[Collection(S3Collection.Name)]
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class ChaosTests : IDisposable
{
    // So many times what another random test gets: starting processes takes long.
    const int SoakTimes = 20;

    static readonly double soakSeconds =
        SoakTimes * double.Parse(Environment.GetEnvironmentVariable("RECOVERY_SOAK_SECONDS")
        ?? "0", CultureInfo.InvariantCulture);
    static readonly CancellationToken Patience = CancellationToken.None;

    readonly S3Server server;
    readonly ITestOutputHelper output;
    readonly string root = Directory.CreateTempSubdirectory("recovery-chaos-").FullName;
    readonly string url;
    readonly ConcurrentDictionary<(char Table, long Seq), string> acknowledged = [];
    readonly List<ChaosProcess> zombies = [];
    readonly Stopwatch clock = Stopwatch.StartNew();
    Random random = new();
    ChaosProcess writer = null!, follower = null!, reader = null!;
    int sites, writers, promotions, kills, outages;
    string writerSite = "", followerSite = "";

    public ChaosTests(S3Server server, ITestOutputHelper output)
    {
        (this.server, this.output) = (server, output);
        S3Server.SetEnvironment();
        url = $"s3://{server.NewBucketAsync().GetAwaiter().GetResult()}/a/prefix?endpoint={server.Endpoint}";
    }

    public void Dispose()
    {
        foreach (var process in (ChaosProcess?[])[writer, follower, reader, .. zombies]) process?.Dispose();
        Recovery.CloseIdleStores();
        Directory.Delete(root, recursive: true);
    }

    [Fact]
    public Task Nothing_acknowledged_is_lost_and_all_agree_whatever_dies() => Seeds.OnceAsync(async seeded =>
    {
        random = seeded;
        try
        {
            await RunAsync();
        }
        finally
        {
            output.WriteLine(
                $"{clock.Elapsed:g}: {kills} kills, {outages} outages, {promotions} promotions, {acknowledged.Count} "
                    + "acknowledged commits");
        }
    });

    async Task RunAsync()
    {
        writerSite = NewSite();
        await StartWriterAsync();
        await writer.SaysAsync("w ");
        followerSite = NewSite();
        StartFollower();
        await follower.SaysAsync("caught up");
        await StartReaderAsync();
        var end = Math.Max(20, soakSeconds);
        // Each at least once, then as it comes.
        Func<Task>[] misfortunes =
            [PromoteAsync, KillWriterAsync, StopGatewayAsync, KillFollowerAsync, HangGatewayAsync, KillReaderAsync,
            PromoteAsync];
        for (var step = 0; step < misfortunes.Length || clock.Elapsed.TotalSeconds < end; step++)
        {
            await PassAsync(random.Next(200, 1200));
            var next = misfortunes[step < misfortunes.Length ? step : random.Next(misfortunes.Length)];
            output.WriteLine($"{clock.Elapsed:g} {next.Method.Name}");
            await next();
            CheckAlive();
        }
        output.WriteLine($"{clock.Elapsed:g} the end");
        await EndAsync();
    }

    string NewSite() => Path.Combine(root, $"site{++sites}");

    async Task StartWriterAsync()
    {
        var who = $"writer{++writers}";
        writer = ChaosProcess.Start(who, line =>
        {
            if (line.Split(' ') is [("a" or "w") and var table, var seq, var name])
                acknowledged[(table[0], long.Parse(seq))] = name;
        }, "Tail.Tests", "write", writerSite, url, who);
        await writer.SaysAsync("ready");
    }

    void StartFollower()
        => follower =
            ChaosProcess.Start("recovery-tail", null, "recovery-tail", url, "--into", followerSite, "--interval",
            "100ms");

    async Task StartReaderAsync()
    {
        reader = ChaosProcess.Start("reader", null, "Tail.Tests", "read", Path.Combine(root, "reader"), url);
        await reader.SaysAsync("ready");
    }

    async Task KillWriterAsync()
    {
        kills++;
        await writer.KillAsync();
        await StartWriterAsync();
    }

    async Task KillFollowerAsync()
    {
        kills++;
        await follower.KillAsync();
        StartFollower();
    }

    async Task KillReaderAsync()
    {
        kills++;
        await reader.KillAsync();
        await StartReaderAsync();
    }

    async Task StopGatewayAsync()
    {
        outages++;
        server.StopGateway();
        await PassAsync(random.Next(1500));
        // Somebody may have to start, or die, during the outage.
        if (random.Next(3) == 0) await KillFollowerAsync();
        await PassAsync(random.Next(500));
        server.StartGateway();
    }

    async Task HangGatewayAsync()
    {
        outages++;
        server.PauseGateway();
        await PassAsync(random.Next(2000));
        server.ResumeGateway();
    }

    /// <summary>
    /// The follower becomes the writer. The old one may be dead, frozen, or well: then it must be told by its next
    /// commit.
    /// </summary>
    async Task PromoteAsync()
    {
        promotions++;
        await follower.SaysAsync("caught up");
        await follower.KillAsync();
        var old = writer;
        var fate = random.Next(3);
        if (fate == 0) await old.KillAsync();
        if (fate == 1) old.Signal("-STOP");
        using (var promotion =
            ChaosProcess.Start("promotion", null, "recovery-tail", url, "--into", followerSite, "--promote"))
        {
            await promotion.SaysAsync("promoted");
            await promotion.StopAsync();
        }
        var gone = writerSite;
        (writerSite, followerSite) = (followerSite, NewSite());
        await StartWriterAsync();
        if (fate == 1) old.Signal("-CONT");
        zombies.Add(old);
        if (fate != 0)
        {
            await old.SaysAsync("lost");
            if (!old.Said("lost") || !old.ToString().Contains("epoch", StringComparison.Ordinal))
                throw new InvalidOperationException($"The old writer was not told of the new one: {old}");
        }
        await old.Output;
        zombies.Remove(old);
        old.Dispose();
        Directory.Delete(gone, recursive: true);
        StartFollower();
    }

    void CheckAlive()
    {
        foreach (var process in (ChaosProcess[])[writer, follower, reader])
            if (process.HasExited) throw new InvalidOperationException($"{process} ended by itself.");
    }

    /// <summary>Time for the processes to do something, between one misfortune and the next.</summary>
    static Task PassAsync(int milliseconds) => Task.Delay(milliseconds);

    async Task EndAsync()
    {
        var before = writer.Count("w ");
        await follower.SaysAsync("caught up");
        await Until(() => writer.Count("w ") > before, "the writer goes on");
        CheckAlive();
        var seen = reader.Count("seen ");
        await Until(() => reader.Count("seen ") > seen || reader.HasExited, "the reader goes on");
        CheckAlive();
        foreach (var process in (ChaosProcess[])[writer, reader])
        {
            await process.StopAsync();
            if (process.ExitCode != 0) throw new InvalidOperationException($"{process} failed.");
        }
        await follower.KillAsync();
        await CompareAsync();
    }

    async Task Until(Func<bool> condition, string what)
    {
        var began = Stopwatch.GetTimestamp();
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(began) > TimeSpan.FromMinutes(2))
                throw new TimeoutException($"Not so in time: {what}. {writer} {follower} {reader}");
            await ticks.WaitForNextTickAsync();
        }
    }

    /// <summary>
    /// Both followers' directories against the writer's, and the writer's against what it had acknowledged.
    /// </summary>
    async Task CompareAsync()
    {
        using (var a = Site.OpenUri($"file:{writerSite}/a.db?vfs=recovery&linger=0"))
        using (var w = Site.OpenUri($"file:{writerSite}/w.db?vfs=recovery&linger=0"))
        {
            a.Do($"ATTACH 'file:{writerSite}/b.db?vfs=recovery' AS b");
            foreach (var (connection, table, key) in new[] { (a, "main.t", 'a'), (a, "b.t", 'a'), (w, "t", 'w') })
            {
                Assert.Equal("ok", connection.Do("PRAGMA integrity_check"));
                var rows = connection.Do($"SELECT seq, who FROM {table} ORDER BY seq").Split(' ');
                var there = rows.Chunk(2).ToDictionary(r => long.Parse(r[0]), r => r[1]);
                foreach (var ((of, seq), who) in acknowledged)
                    if (of == key && there.GetValueOrDefault(seq) != who)
                        throw new InvalidOperationException(
                            $"{table} {seq} was acknowledged to {who}, and is "
                                + $"{there.GetValueOrDefault(seq) ?? "not there"}.");
            }
        }
        Recovery.CloseIdleStores();
        var expected = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        ulong lsn;
        using (var store =
            Store.Open(new StoreOptions
            {
                Directory = Path.Combine(writerSite, ".recovery"),
                Remote = new RemoteOptions { Url = url }
            }))
        {
            foreach (var database in store.Databases) expected[database.Name] = ReadAll(database);
            lsn = store.Lsn.Last;
            store.SyncRemote();
        }
        foreach (var site in (string[])[followerSite, Path.Combine(root, "reader")])
        {
            await using var follower =
                await Follower.StartAsync(
                new FollowerOptions
                {
                    Url = url,
                    Store = new StoreOptions { Directory = Path.Combine(site, ".recovery") }
                }, Patience);
            await follower.CaughtUpAsync(Patience);
            await follower.WaitForAsync(lsn, Patience);
            using var reading = follower.Read();
            Assert.Equal(expected.Keys, reading.Databases);
            foreach (var (name, content) in expected)
            {
                using var version = reading.Pin(name)!;
                var bytes = new byte[version.SizeBytes];
                version.Read(0, bytes);
                // Bytes 18 and 19 say WAL mode, which a follower never shows.
                content.AsSpan(18, 2).CopyTo(bytes.AsSpan(18));
                Assert.True(content.AsSpan().SequenceEqual(bytes), $"{name} in {site} is not what the writer has");
            }
            Assert.Empty(reading.Verify(null));
        }
    }

    static byte[] ReadAll(Database database)
    {
        var version = database.Pin();
        try
        {
            var bytes = new byte[version.SizeBytes];
            Assert.Equal(bytes.Length, database.Read(version, 0, bytes));
            return bytes;
        }
        finally
        {
            database.Unpin(version);
        }
    }
}
