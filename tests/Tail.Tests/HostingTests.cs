using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RecoveryVfs.Hosting;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail.Tests;

/// <summary>A follower that lives with a host.</summary>
public sealed class HostingTests : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    IHost Build(string directory)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.ClearProviders();
        builder.Services.AddRecoveryFollower(site.Url, site.PathOf(directory));
        return builder.Build();
    }

    [Fact]
    public async Task The_host_keeps_a_follower_that_its_connections_read()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
        site.Wait(writer);
        using (var host = Build("hosted"))
        {
            await host.StartAsync();
            var follower = await host.Services.GetRequiredService<FollowerService>().Started;
            await follower.CaughtUpAsync();
            using (var reader = site.Open("file:" + site.PathOf("hosted/a.db") + "?vfs=recovery&mode=ro"))
            {
                Assert.Equal("1", reader.Do("SELECT count(*) FROM t"));
                writer.Do("INSERT INTO t VALUES (2)");
                reader.Do($"PRAGMA recovery_wait_lsn={writer.Do("PRAGMA recovery_lsn")}");
                Assert.Equal("2", reader.Do("SELECT count(*) FROM t"));
            }
            Assert.Equal(FollowerPhase.Following,
                host.Services.GetRequiredKeyedService<FollowerService>(site.PathOf("hosted")).State.Phase);
            await host.StopAsync();
            Assert.Equal(FollowerPhase.Stopped, follower.State.Phase);
        }
        Assert.Null(Follower.Find(site.PathOf("hosted/.recovery")));
    }

    [Fact]
    public async Task A_directory_that_cannot_be_a_follower_stops_the_host_with_the_reason()
    {
        Directory.CreateDirectory(site.PathOf("hosted/.recovery"));
        File.WriteAllText(site.PathOf("hosted/.recovery/precious"), "x");
        using var host = Build("hosted");
        await host.StartAsync();
        var refused =
            await Assert.ThrowsAsync<RecoveryException>(() => host.Services.GetRequiredService<FollowerService>()
            .Started);
        Assert.Contains("is not empty", refused.Message);
        // Since version 11 a host that a service stopped throws what stopped it.
        Assert.Same(refused, await Assert.ThrowsAsync<RecoveryException>(() => host.WaitForShutdownAsync()));
    }
}
