using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Hosting;

/// <summary>Registers what RecoveryVfs runs in a host.</summary>
public static class RecoveryServices
{
    /// <summary>
    /// Registers the VFS <c>recovery</c> when the host starts, before any other service does: databases are then opened
    /// with
    /// <c>file:/data/app.db?vfs=recovery</c>. What stores have to tell goes into the host's log; stores that no
    /// connection uses are closed when the host has stopped.
    /// </summary>
    public static IServiceCollection AddRecovery(this IServiceCollection services, RecoveryOptions? options = null)
    {
        services.AddSingleton<IHostedService>(provider =>
            ActivatorUtilities.CreateInstance<RecoveryService>(provider, options ?? new RecoveryOptions()));
        return services;
    }

    /// <summary>
    /// Adds a health check that is healthy only while the commits of every store that this process has open can be
    /// restored, and every follower and replicator of this host goes on. Its data has the lag and the age of the last
    /// proof of each.
    /// </summary>
    public static IHealthChecksBuilder AddRecovery(
        this IHealthChecksBuilder builder, string name = "recovery", RecoveryHealthOptions? options = null,
        HealthStatus? failureStatus = null, IEnumerable<string>? tags = null) =>
        builder.Add(new HealthCheckRegistration(name,
            provider => new RecoveryHealthCheck(options
                ?? new RecoveryHealthOptions(), provider.GetServices<FollowerService>(),
                provider.GetServices<ReplicatorService>()),
            failureStatus, tags));

    /// <summary>
    /// Keeps a follower while the host runs: <c>services.AddRecoveryFollower("s3://bucket/app", "/replica")</c>. Its
    /// databases are read with
    /// <c>file:/replica/app.db?vfs=recovery&amp;mode=ro</c>; its state comes with <see cref="FollowerService"/>, for
    /// several by the key that is their directory.
    /// </summary>
    public static IServiceCollection AddRecoveryFollower(this IServiceCollection services, string url,
        string directory) =>
        services.AddRecoveryFollower(
            new FollowerOptions { Url = url, Store = new StoreOptions { Directory = StoreOf(directory) } }, directory);

    /// <summary>The same with all options; the key defaults to the store's directory.</summary>
    public static IServiceCollection AddRecoveryFollower(this IServiceCollection services, FollowerOptions options,
        string? key = null)
    {
        key ??= options.Store.Directory;
        services.AddKeyedSingleton(key, (provider, _)
            => ActivatorUtilities.CreateInstance<FollowerService>(provider, options));
        services.AddSingleton(provider => provider.GetRequiredKeyedService<FollowerService>(key));
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredKeyedService<FollowerService>(key));
        return services;
    }

    /// <summary>
    /// Replicates a plain SQLite database while the host runs: <c>services.AddRecoveryReplicator("/data/app.db",
    /// "s3://bucket/app")</c>. Its state comes with
    /// <see cref="ReplicatorService"/>, for several by the key that is their path.
    /// </summary>
    public static IServiceCollection AddRecoveryReplicator(this IServiceCollection services, string path, string? url,
        ReplicatorOptions? options = null)
    {
        services.AddKeyedSingleton(path, (provider, _)
            => new ReplicatorService(path, url, options
                ?? new(), provider.GetRequiredService<ILogger<ReplicatorService>>()));
        services.AddSingleton(provider => provider.GetRequiredKeyedService<ReplicatorService>(path));
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredKeyedService<ReplicatorService>(path));
        return services;
    }

    static string StoreOf(string directory) => StoreHome.Within(directory);
}
