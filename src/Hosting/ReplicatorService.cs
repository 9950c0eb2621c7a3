using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Hosting;

/// <summary>
/// Replicates a plain SQLite database for as long as the host runs. It begins before the services that were added after
/// it, so that a database that is to be restored is there when they start; at shutdown what was committed last is
/// shipped.
/// </summary>
public sealed class ReplicatorService(string path, string? url, ReplicatorOptions options,
    ILogger<ReplicatorService> log) : IHostedService, IAsyncDisposable
{
    SqliteReplicator? replicator;

    /// <summary>The replicator; an error before the host has started it.</summary>
    public SqliteReplicator Replicator => replicator
        ?? throw new InvalidOperationException($"The replicator of {path} has not started.");

    /// <summary>How it is, for a health check: well only while every database is in step and shipped in time.</summary>
    internal StoreHealth Health => replicator?.Status is not { } status
        ? new(path, "its replicator has not started", "starting", 0, 0, default)
        : new(path, status.WhyNotReady, status.IsReady ? "in-step" : status.Failed is null ? "behind" : "failed",
            status.Lsn, (long)(status.Lsn - Math.Min(status.Lsn, status.ShippedLsn)), status.Lag);

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var told = options.Events;
        replicator = await SqliteReplicator.StartAsync(path, url, options with
        {
            Events = e =>
            {
                told?.Invoke(e);
                Log(e);
            },
        }, cancellationToken);
    }

    void Log(ReplicationEvent e)
    {
        var level = e.Kind is ReplicationEventKind.Behind or ReplicationEventKind.Warning
            or ReplicationEventKind.Missing or ReplicationEventKind.Joined ? LogLevel.Warning : LogLevel.Information;
        log.Log(level, "{Database}: {Message}", e.Path, e.Message);
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (replicator is null) return;
        try
        {
            await replicator.FlushAsync(cancellationToken);
        }
        catch (Exception e)
        {
            // It stays in the mirror; the next run ships it.
            log.LogError(e, "What was committed last to {Database} is not in {Url}", path, url);
        }
        await replicator.DisposeAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (replicator is not null) await replicator.DisposeAsync();
    }
}
