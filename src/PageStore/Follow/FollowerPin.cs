using System.Security.Cryptography;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Pins;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// Keeps a pin in the remote, so that collection leaves what this follower needs to go on after a stop. Objects are
/// never overwritten: each renewal is a new pin, and the one before it is removed then.
/// </summary>
internal sealed class FollowerPin(FollowerOptions options)
{
    // Pins are renewed so many times before they would expire.
    const int Renewals = 8;

    readonly StoreHome home = options.Store.Home;
    DateTimeOffset due = DateTimeOffset.MinValue;

    /// <summary>Why there is no pin; null when there is, or is not to be.</summary>
    public string? Error { get; private set; }

    /// <summary>Renews the pin when it is time. A failure is noted, and tried again at the next time.</summary>
    public async Task RenewAsync(ulong lsn, CancellationToken cancellation)
    {
        var now = options.Store.Time.GetUtcNow();
        if (options.PinExpiry <= TimeSpan.Zero || now < due) return;
        due = now + options.PinExpiry / Renewals;
        try
        {
            var context = options.NewContext(readOnly: false) with { Tries = 2 };
            await using var objects = context.Store;
            var name = "follower-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
            await Pin.PutAsync(context, name,
                Pin.At(lsn, onward: true, now + options.PinExpiry,
                $"follower {Environment.MachineName}:{options.Store.Directory}"), cancellation);
            var earlier = home.PinName;
            home.PinName = name;
            if (earlier is not null) await Pin.RemoveAsync(context, earlier, cancellation);
            Error = null;
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException or IOException
            or UnauthorizedAccessException)
        {
            Error = e.Message;
        }
    }

    /// <summary>Removes the pin; one that stays expires.</summary>
    public async Task RemoveAsync()
    {
        if (home.PinName is not { } name) return;
        try
        {
            var context = options.NewContext(readOnly: false) with { Tries = 2 };
            await using var objects = context.Store;
            await Pin.RemoveAsync(context, name);
            home.PinName = null;
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException or IOException
            or UnauthorizedAccessException)
        {
            Error = e.Message;
        }
    }
}
