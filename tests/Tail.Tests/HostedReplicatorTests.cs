using System.Diagnostics;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RecoveryVfs.Hosting;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail.Tests;

/// <summary>A replicator that lives with a host.</summary>
public sealed class HostedReplicatorTests : IDisposable
{
    readonly string directory = Directory.CreateTempSubdirectory("replicator-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    string At(string name) => Path.Combine(directory, name);

    IHost Build(bool restore = false, TimeSpan? patience = null)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.ClearProviders();
        builder.Services.AddRecoveryReplicator(At("app.db"), "file://" + At("remote"), new()
        {
            RestoreIfMissing = restore,
            LockPatience = patience ?? TimeSpan.FromMilliseconds(250),
            // Nothing that is waited for waits as long.
            Recovery = new() { SyncInterval = TimeSpan.FromHours(1) },
        });
        builder.Services.AddHealthChecks().AddRecovery();
        return builder.Build();
    }

    SqliteConnection Open(string name = "app.db")
    {
        var connection = new SqliteConnection($"Data Source={At(name)};Pooling=False");
        connection.Open();
        return connection;
    }

    static object? Do(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    static async Task<HealthReportEntry> CheckAsync(IHost host) =>
        Assert.Single((await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries).Value;

    /// <summary>
    /// It looks at its database by itself, too, and is not certain for the moment of a look after a change.
    /// </summary>
    static async Task BecomesHealthyAsync(IHost host)
    {
        var started = Stopwatch.GetTimestamp();
        for (HealthReportEntry found; (found = await CheckAsync(host)).Status != HealthStatus.Healthy;)
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(1), found.Description);
            await Task.Delay(5); // Its health is all that says so; whoever is slow is waited for.
        }
    }

    [Fact]
    public async Task What_was_committed_last_is_shipped_when_the_host_stops_and_comes_back_before_it_starts()
    {
        using (var app = Open())
        {
            Do(app, "PRAGMA journal_mode=WAL");
            Do(app, "CREATE TABLE t(a)");
            using var host = Build();
            await host.StartAsync();
            Do(app, "INSERT INTO t VALUES (1)");
            await BecomesHealthyAsync(host);
            // The newest second is shipped at the end.
            await host.StopAsync();
        }
        await Recovery.RestoreFileAsync("file://" + At("remote"), At("restored.db"), new() { Database = "app.db" });
        using (var restored = Open("restored.db")) Assert.Equal(1L, Do(restored, "SELECT count(*) FROM t"));
        foreach (var name in (string[])["app.db", "app.db-wal", "app.db-shm"]) File.Delete(At(name));
        Directory.Delete(At(".app.db-recovery"), recursive: true);
        using var again = Build(restore: true);
        await again.StartAsync();
        using (var app = Open()) Assert.Equal(1L, Do(app, "SELECT count(*) FROM t"));
        await BecomesHealthyAsync(again);
        Assert.Single(again.Services.GetRequiredService<ReplicatorService>().Replicator.Status.Databases);
        await again.StopAsync();
    }

    [Fact]
    public async Task It_is_unhealthy_before_it_starts_while_it_is_behind_and_when_it_has_stopped()
    {
        using var app = Open();
        Do(app, "CREATE TABLE t(a)");
        using var host = Build(patience: TimeSpan.FromMilliseconds(20));
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(host)).Status);
        await host.StartAsync();
        await BecomesHealthyAsync(host);
        Do(app, "PRAGMA locking_mode=EXCLUSIVE");
        Do(app, "INSERT INTO t VALUES (1)");
        var replicator = host.Services.GetRequiredService<ReplicatorService>().Replicator;
        await Assert.ThrowsAnyAsync<RecoveryException>(() => replicator.FlushAsync());
        var behind = await CheckAsync(host);
        Assert.Equal(HealthStatus.Unhealthy, behind.Status);
        Assert.Contains(At("app.db"), behind.Description, StringComparison.Ordinal);
        Do(app, "PRAGMA locking_mode=NORMAL");
        Do(app, "SELECT count(*) FROM t");
        await replicator.FlushAsync();
        await BecomesHealthyAsync(host);
        await host.StopAsync();
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(host)).Status);
    }
}
