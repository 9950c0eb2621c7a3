using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>Fetches hints.</summary>
static class RemoteHintsReads
{
    /// <summary>
    /// The hints, verified; null when there are none of that name. Throws Corrupt when they do not verify.
    /// </summary>
    public static async ValueTask<RemoteHints?> FetchAsync(RemoteContext context, string name, Guid logId,
        CancellationToken cancellation)
    {
        byte[]? bytes =
            await context.RetryAsync(token => context.Store.ReadWholeAsync(name, RemoteHintsFormat.MaxBytes, token),
            cancellation);
        if (bytes is null) return null;
        var hints = RemoteHintsFormat.Read(bytes, name);
        return hints.Header.LogId == logId
            ? hints
            : throw RemoteFormat.Damaged(name, $"they belong to another log ({hints.Header.LogId})");
    }

    /// <summary>The same, with damage as null: for those who only look for what may help.</summary>
    public static async ValueTask<RemoteHints?> TryFetchAsync(RemoteContext context, string name, Guid logId,
        CancellationToken cancellation)
    {
        try { return await FetchAsync(context, name, logId, cancellation); }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew) { return null; }
    }

    /// <summary>The LSNs of all hints listed, newest first, with the time at which each was published.</summary>
    public static async ValueTask<List<(ulong Lsn, string Name, DateTimeOffset Published, long SizeBytes)>> ListAsync(
        RemoteContext context, CancellationToken cancellation)
    {
        var found = new List<(ulong, string, DateTimeOffset, long)>();
        foreach (var entry in await context.ListAsync(RemoteNames.Hints, null, cancellation))
            if (RemoteNames.TryParseHints(entry.Name, out ulong lsn))
                found.Add((lsn, entry.Name, entry.Modified, entry.SizeBytes));
        return found;
    }
}
