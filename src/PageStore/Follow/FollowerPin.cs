using RecoveryVfs.RecoveryLog.Remote.Pins;
using System.Security.Cryptography;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// Keeps a pin in the remote, so that collection leaves what this follower needs to go on after a stop. Objects are never overwritten: each renewal
/// is a new pin, and the one before it is removed then.
/// </summary>
internal sealed class FollowerPin(FollowerOptions options)
{
    public const string FileName = "pin";

    // Pins are renewed so many times before they would expire.
    const int Renewals = 8;

    readonly string path = Path.Combine(options.Store.Directory, FileName);
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
            var earlier = File.Exists(path) ? (await File.ReadAllTextAsync(path, cancellation)).Trim() : "";
            await Pin.PutAsync(context, name, Pin.At(lsn, onward: true, now + options.PinExpiry, $"follower {Environment.MachineName}:{options.Store.Directory}"), cancellation);
            await File.WriteAllTextAsync(path, name + "\n", cancellation);
            if (earlier.Length > 0) await Pin.RemoveAsync(context, earlier, cancellation);
            Error = null;
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException or IOException or UnauthorizedAccessException)
        {
            Error = e.Message;
        }
    }

    /// <summary>Removes the pin; one that stays expires.</summary>
    public async Task RemoveAsync()
    {
        if (!File.Exists(path)) return;
        try
        {
            var context = options.NewContext(readOnly: false) with { Tries = 2 };
            await using var objects = context.Store;
            await Pin.RemoveAsync(context, (await File.ReadAllTextAsync(path)).Trim());
            File.Delete(path);
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException or IOException or UnauthorizedAccessException)
        {
            Error = e.Message;
        }
    }
}
