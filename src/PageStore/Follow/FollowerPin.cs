using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Pins;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// Keeps pins in the remote, so that collection leaves what this follower needs: the log from where it stands, to go on
/// after a stop; and the hints that it began with, while it still fetches their files. Objects are never overwritten:
/// each renewal is a new pin, and the one before it is removed then.
/// </summary>
internal sealed class FollowerPin(FollowerOptions options)
{
    // Pins are renewed so many times before they would expire.
    const int Renewals = 8;

    readonly StoreHome home = options.Store.Home;
    DateTimeOffset due = DateTimeOffset.MinValue;
    ulong? keptHints;

    /// <summary>Why there is no pin; null when there is, or is not to be.</summary>
    public string? Error { get; private set; }

    /// <summary>
    /// Renews the pins when it is time, or when other hints are to be kept (null: none). A failure is noted, and tried
    /// again at the next time. Without an LSN nothing of the log is kept.
    /// </summary>
    public async Task RenewAsync(ulong? lsn, ulong? hintsLsn, CancellationToken cancellation)
    {
        var now = options.Store.Time.GetUtcNow();
        if (options.PinExpiry <= TimeSpan.Zero || (now < due && hintsLsn == keptHints)
            || (lsn is null && hintsLsn is null && home.HintsPinName is null))
            return;
        due = now + options.PinExpiry / Renewals;
        keptHints = hintsLsn;
        await TryAsync(async context =>
        {
            // What is fetched comes first: the log is kept by retention for a while.
            home.HintsPinName = hintsLsn is { } kept
                ? await ReplaceAsync(context, Pin.At(kept, expires: now + options.PinExpiry,
                    note: Note("fetches from these hints")), home.HintsPinName, name => home.HintsPinName = name,
                    cancellation)
                : await RemoveAsync(context, home.HintsPinName, cancellation);
            if (lsn is { } at)
                home.PinName = await ReplaceAsync(context, Pin.At(at, onward: true, now + options.PinExpiry,
                    Note("follows")), home.PinName, name => home.PinName = name, cancellation);
        });
    }

    string Note(string what) => $"follower {Environment.MachineName}:{options.Store.Directory} {what}";

    static async Task<string> ReplaceAsync(RemoteContext context, Pin pin, string? earlier, Action<string> remember,
        CancellationToken cancellation) =>
        await Pin.ReplaceAsync(context, "follower-", pin, earlier, remember, cancellation);

    static async Task<string?> RemoveAsync(RemoteContext context, string? name, CancellationToken cancellation)
    {
        if (name is not null) await Pin.RemoveAsync(context, name, cancellation);
        return null;
    }

    /// <summary>Removes the pins; one that stays expires.</summary>
    public async Task RemoveAsync()
    {
        if (home.PinName is null && home.HintsPinName is null) return;
        await TryAsync(async context =>
        {
            home.HintsPinName = await RemoveAsync(context, home.HintsPinName, default);
            home.PinName = await RemoveAsync(context, home.PinName, default);
        });
    }

    async Task TryAsync(Func<RemoteContext, Task> step)
    {
        try
        {
            var context = options.NewContext(readOnly: false) with { Tries = 2 };
            await using var objects = context.Store;
            await step(context);
            Error = null;
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException or IOException
            or UnauthorizedAccessException)
        {
            Error = e.Message;
        }
    }
}
