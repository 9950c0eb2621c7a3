using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Pins;

namespace RecoveryVfs.PageStore.Lazy;

/// <summary>
/// Keeps the hints from which a writer's directory still fetches, whoever collects. Its own hints name the same
/// extents; this is for what another writer published or will publish.
/// </summary>
/// <param name="home">The directory, which knows the pin's name.</param>
/// <param name="hintsLsn">The hints.</param>
/// <param name="open">Opens the remote for writing; the object store is then who opened it's.</param>
internal sealed class FetchPin(StoreHome home, ulong hintsLsn, Func<RemoteContext> open)
{
    static readonly TimeSpan expiry = TimeSpan.FromDays(2);

    /// <summary>How long before a pin is to be renewed.</summary>
    public static TimeSpan Renewal => expiry / 8;

    /// <summary>Puts a pin in the place of the one before. A failure is no error.</summary>
    public Task RenewAsync(CancellationToken cancellation = default) => TryAsync(async context =>
    {
        var pin = Pin.At(hintsLsn, expires: context.Time.GetUtcNow() + expiry,
            note: $"{Environment.MachineName}:{home.Path} fetches from these hints");
        await Pin.ReplaceAsync(context, "restore-", pin, home.HintsPinName, name => home.HintsPinName = name,
            cancellation);
    });

    /// <summary>Nothing is fetched any more; a pin that stays expires.</summary>
    public Task RemoveAsync(CancellationToken cancellation = default) => TryAsync(async context =>
    {
        if (home.HintsPinName is not { } name) return;
        await Pin.RemoveAsync(context, name, cancellation);
        home.HintsPinName = null;
    });

    async Task TryAsync(Func<RemoteContext, Task> step)
    {
        try
        {
            var context = open() with { Tries = 2 };
            await using var objects = context.Store;
            await step(context);
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException or IOException
            or UnauthorizedAccessException)
        {
            // Credentials that may only read, or an outage.
        }
    }
}
