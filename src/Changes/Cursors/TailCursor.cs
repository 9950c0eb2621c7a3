using System.Globalization;
using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;

namespace RecoveryVfs.Changes.Cursors;

/// <summary>
/// How far a consumer has come, kept in the remote as a pin: so collection leaves what it still needs. Objects are
/// never overwritten; a new place is a new pin, <c>pins/cursor-NAME-LSN-RANDOM</c>, and the one before it is removed
/// then. Of several that a kill has left the one that is furthest on counts.
/// </summary>
internal sealed class TailCursor
{
    const int LsnDigits = 16, RandomBytes = 4, NameMost = 64;
    // Of rows that are still to be read before the changes: the place is where they are read.
    const string Unread = "-rows";
    // A pin is renewed so many times before it would expire.
    const int Renewals = 4;

    readonly RemoteContext context;
    readonly string name;
    readonly TimeSpan expiry;
    string? pinned;
    DateTimeOffset renewAt;

    TailCursor(RemoteContext context, string name, TimeSpan expiry)
        => (this.context, this.name, this.expiry) = (context, name, expiry);

    /// <summary>The last commit that the consumer has; null when it has none yet.</summary>
    public ulong? Lsn { get; private set; }

    /// <summary>Whether it had not been given all rows that it was to have first.</summary>
    public bool IsWithinSnapshot { get; private set; }

    /// <summary>Finds a cursor. <paramref name="context"/> must be open for writing.</summary>
    public static async Task<TailCursor> OpenAsync(RemoteContext context, string name, TimeSpan expiry,
        CancellationToken cancellation = default)
    {
        if (name.Length is 0 or > NameMost || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            throw new RecoveryException(RecoveryError.Invalid,
                $"'{name}' is no name for a cursor: use letters, digits, '-', '_' and '.', at most {NameMost}.");
        var cursor = new TailCursor(context, name, expiry);
        await cursor.FindAsync(cancellation);
        return cursor;
    }

    string Prefix => $"cursor-{name}-";

    async Task FindAsync(CancellationToken cancellation)
    {
        var stale = new List<string>();
        foreach (var entry in await context.ListAsync(RemoteNames.Pins + Prefix, null, cancellation))
        {
            var pin = entry.Name[RemoteNames.Pins.Length..];
            if (!TryParse(pin, out var lsn, out var unread)) continue;
            if (Lsn is { } found && (found > lsn || (found == lsn && unread)))
            {
                stale.Add(pin);
                continue;
            }
            if (pinned is not null) stale.Add(pinned);
            (Lsn, IsWithinSnapshot, pinned) = (lsn, unread, pin);
        }
        foreach (var pin in stale) await Pin.RemoveAsync(context, pin, cancellation);
    }

    /// <summary>
    /// Another cursor's name may begin as this one's does: what follows it must be a place and nothing else.
    /// </summary>
    bool TryParse(string pin, out ulong lsn, out bool unread)
    {
        var rest = pin.AsSpan(Prefix.Length);
        unread = rest.EndsWith(Unread, StringComparison.Ordinal);
        if (unread) rest = rest[..^Unread.Length];
        lsn = 0;
        return rest.Length == LsnDigits + 1 + 2 * RandomBytes && rest[LsnDigits] == '-'
            && ulong.TryParse(rest[..LsnDigits], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out lsn)
            && uint.TryParse(rest[(LsnDigits + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out _);
    }

    /// <summary>
    /// Says that the consumer has everything up to a commit. Does nothing while that is said already, and its pin is
    /// far from expiring.
    /// </summary>
    public async Task MoveAsync(ulong lsn, bool isWithinSnapshot, CancellationToken cancellation = default)
    {
        var now = context.Time.GetUtcNow();
        if (Lsn == lsn && IsWithinSnapshot == isWithinSnapshot && now < renewAt) return;
        var random = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(RandomBytes));
        var next = $"{Prefix}{lsn:x16}-{random}{(isWithinSnapshot ? Unread : "")}";
        await Pin.PutAsync(context, next, Pin.At(lsn, onward: true, now + expiry, $"cursor {name}"), cancellation);
        var earlier = pinned;
        (pinned, Lsn, IsWithinSnapshot, renewAt) = (next, lsn, isWithinSnapshot, now + expiry / Renewals);
        if (earlier is not null) await Pin.RemoveAsync(context, earlier, cancellation);
    }
}
