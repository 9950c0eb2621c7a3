using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Pins;

/// <summary>
/// Keeps what a restore reads from collection for as long as it takes, should it take longer than the writer's grace
/// for readers. One that a killed restore left expires.
/// </summary>
internal sealed class RestorePin : IAsyncDisposable
{
    /// <summary>Longer than any restore that somebody would wait for.</summary>
    public static readonly TimeSpan Expiry = TimeSpan.FromDays(2);

    readonly RemoteContext? context;
    readonly string name;

    RestorePin(RemoteContext? context, string name, string? problem)
        => (this.context, this.name, Problem) = (context, name, problem);

    /// <summary>Why there is none, such as credentials that may only read; null when there is one.</summary>
    public string? Problem { get; }

    /// <summary>
    /// Puts the pin of a plan's hints and of everything after them, through an object store opened for writing. A
    /// failure is no error: the restore has the readers' grace then.
    /// </summary>
    public static async Task<RestorePin> TakeAsync(Func<IObjectStore> open, RestorePlan plan, RemoteContext reading,
        CancellationToken cancellation = default)
    {
        string name = "restore-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        IObjectStore? store = null;
        try
        {
            store = open();
            var context = reading with { Store = store, Tries = 1 };
            var pin = Pin.At(plan.Hints.Header.Lsn, onward: true, reading.Time.GetUtcNow() + Expiry,
                $"a restore on {Environment.MachineName}");
            await Pin.PutAsync(context, name, pin, cancellation);
            return new RestorePin(context, name, null);
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException or IOException
            or UnauthorizedAccessException)
        {
            if (store is not null) await store.DisposeAsync();
            return new RestorePin(null, name, e.Message);
        }
    }

    /// <summary>Removes the pin.</summary>
    public async ValueTask DisposeAsync()
    {
        if (context is null) return;
        try { await Pin.RemoveAsync(context, name); }
        // It expires.
        catch (Exception e) when (e is RecoveryException or ObjectStoreException) { }
        await context.Store.DisposeAsync();
    }
}
