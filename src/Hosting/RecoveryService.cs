using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace RecoveryVfs.Hosting;

/// <summary>
/// Registers the VFS when the host starts, hands to the host's log what this process tells of its stores, and closes
/// stores that no connection uses when the host has stopped.
/// </summary>
internal sealed class RecoveryService(RecoveryOptions options, ILogger<RecoveryService> log) : IHostedLifecycleService
{
    /// <summary>Before any other service may open a database.</summary>
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        EventLog.Told += Tell;
        Recovery.Register(options);
        HostLog.Registered(log);
        return Task.CompletedTask;
    }

    /// <summary>After every other service has closed its connections.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await Recovery.CloseIdleStoresAsync();
        EventLog.Told -= Tell;
    }

    void Tell(EventLevel level, string what, string message)
    {
        if (level == EventLevel.Error) HostLog.StoreFailed(log, what, message);
        else if (level == EventLevel.Warning) HostLog.StoreTroubled(log, what, message);
        else HostLog.StoreTold(log, what, message);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
