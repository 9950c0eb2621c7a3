using System.Globalization;
using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Operations;

/// <summary>
/// Looks at a store and its remote without opening the store: takes no lock and changes nothing, so it may be asked
/// while the store is in use.
/// </summary>
internal static class StoreLook
{
    /// <summary>
    /// What a look at the remote found: what it has, the newest LSN that it shares with the store, and why it could not
    /// be looked at.
    /// </summary>
    sealed record Look(RemoteStatus? Remote, ulong? SharedLsn, string? Error, bool IsRefused = false,
        bool IsFenced = false);

    /// <summary>How a store is.</summary>
    public static async Task<StoreStatus> AtAsync(StoreDirectory store, CancellationToken cancellation)
    {
        var reading = new LogReading();
        var times = new List<(ulong Lsn, DateTimeOffset Time)>();
        var (hints, end) = store.ReadLog(h =>
        {
            times.Clear();
            reading.Start(h);
        }, (in Record record) =>
        {
            reading.Take(record);
            times.Add((record.Lsn, reading.LastTime!.Value));
        });
        var lsn = end?.LastLsn ?? hints?.Lsn ?? 0;
        var url = store.RemoteUrl ?? RemoteAccess.Default;
        var look = await TryLookAsync(store, url, end, cancellation);
        var remote = look.Remote;
        ulong? lag = look.SharedLsn is not { } shared ? null : lsn > shared ? lsn - shared : 0;
        var oldest = times.FirstOrDefault(t => t.Lsn > look.SharedLsn);
        // Of a RocksDB, whatever it did to its files counts.
        var unshipped = lag is null ? 0
            : store.IsOfRocksDb ? times.Count(t => t.Lsn > look.SharedLsn)
            : reading.Commits.Count(c => c.Lsn > look.SharedLsn);
        var verification = VerificationOf(store, url);
        var state = StateOf(store, end is not null, lsn, url, look, lag, unshipped, verification);
        return new StoreStatus(state, store.Path, store.Holder(), end?.LogId
            ?? hints?.LogId, lsn, reading.LastTime, hints?.Lsn,
            end?.SizeBytes ?? 0, reading.Databases.Count(), SalvagedLog.List(store.SalvageDirectory).Count, lag,
            lag is null ? null : lag == 0 || oldest.Lsn
                == 0 ? 0 : Math.Max(0, (DateTimeOffset.UtcNow - oldest.Time).TotalSeconds), verification, url,
                look.Error, remote)
        {
            UnshippedCommits = unshipped,
            Holds = store.IsOfRocksDb ? StoreObject.RocksDb : null,
            Fetched = LazyFiles.In(new StoreHome(store.Path)),
            Advice = state == StoreState.Copy
                ? new StoreHome(store.Path).WhyNotOwner(url)!.Message
                : AdviceOn(state, store, url, unshipped),
        };
    }

    static VerificationStatus? VerificationOf(StoreDirectory store, string? url) =>
        RemoteVerification.Load(store.Path) is { } v && v.Remote == url
            ? new(v.Result, v.At, v.ProvedAt, v.ProvedAt is { } at ? (DateTimeOffset.UtcNow - at).TotalSeconds : null,
            v.ProvedLsn, v.Problem) : null;

    static async Task<Look> TryLookAsync(StoreDirectory store, string? url, LocalLogEnd? end,
        CancellationToken cancellation)
    {
        if (url is null) return new(null, null, null);
        try
        {
            var found = await AtRemoteAsync(url, cancellation);
            var isFenced = end is not null && !store.IsReplica && found.Epoch > 0 && found.AuthorId != store.Author;
            if (!isFenced) return new(found, found.LastLsn, null);
            await using var remote = RemoteAccess.Open(url);
            return new(found, await Divergence.SharedLsnAsync(remote, end!.Epoch, store.Author, cancellation)
                ?? found.LastLsn, null, IsFenced: true);
        }
        // Nothing is there yet, and nothing was: the store has not reached it.
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound
            && !new StoreHome(store.Path).RemoteUrls.Contains(url))
        { return new(null, 0, null); }
        catch (RecoveryException e) { return new(null, null, e.Message, IsRefused: e.Error != RecoveryError.Remote); }
        catch (ObjectStoreException e) { return new(null, null, e.ToRecoveryException().Message); }
    }

    static string StateOf(StoreDirectory store, bool hasLog, ulong lsn, string? url, Look look, ulong? lag,
        int unshipped, VerificationStatus? verification)
    {
        if (store.IsReplica) return StoreState.Replica;
        if (new StoreHome(store.Path).WhyNotOwner(url) is not null) return StoreState.Copy;
        if (url is null) return hasLog ? StoreState.NoRemote : StoreState.Restored;
        if (look.Error is not null) return look.IsRefused ? StoreState.Failed : StoreState.Unreachable;
        if (!hasLog) return StoreState.Restored;
        if (look.IsFenced) return StoreState.Fenced;
        if (look.Remote?.LastLsn > lsn) return StoreState.Behind;
        if (unshipped > 0 && store.Holder() is null) return StoreState.Unshipped;
        if (look.Remote is { } remote && (remote.HintsLsn is null || new StoreHome(store.Path).IsRestarting))
            return StoreState.NotRestorable;
        if (verification?.Result == "damaged") return StoreState.Damaged;
        return lag == 0 || (unshipped == 0 && store.Holder() is null) ? StoreState.Ok : StoreState.Shipping;
    }

    static string? AdviceOn(string state, StoreDirectory store, string? url, int unshipped) => state switch
    {
        StoreState.Unshipped => $"unshipped: {Commits(unshipped)}; run recovery sync {store.Databases}",
        StoreState.Fenced when store.IsOfRocksDb
            => $"another writer has the remote; what it lacks is in this directory: recovery export {store.Databases}; "
                + $"for the newest state, recovery restore {url} into another directory",
        StoreState.Fenced when unshipped > 0
            => $"{Commits(unshipped)} {(unshipped == 1 ? "is" : "are")} in this directory only: see recovery salvage "
                + $"{store.Databases}; "
            + $"for the newest state, recovery restore {url} into another directory",
        StoreState.Fenced => $"another writer has the remote, and nothing is lost: recovery restore {url} into another "
            + "directory, or follow it",
        StoreState.Unreachable => "commits go on locally; see that the remote can be reached: recovery check " + url,
        StoreState.Failed => "see what the remote says: recovery check " + url,
        StoreState.NotRestorable => $"publish hints: recovery sync --wait {store.Databases}",
        StoreState.Damaged => $"see what is damaged: recovery verify {url}; then ship to a new prefix",
        StoreState.Behind => "this is an older copy of the store; restore the newest state: "
            + $"recovery restore {url} into another directory",
        _ => null,
    };

    /// <summary>What a remote has.</summary>
    public static async Task<RemoteStatus> AtRemoteAsync(string? url, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(url);
        var store = await remote.StoreAsync(cancellation);
        var (end, last) = await remote.Context.FindEndAsync(store, cancellation);
        var lastTime = last?.Header.LastTimeMs;
        last?.Dispose();
        var hints = await remote.ListHintsAsync(cancellation);
        var segments = await remote.ListSegmentsAsync(cancellation);
        var extents = await remote.Context.ListAsync(RemoteNames.Extents, null, cancellation);
        var pins = await remote.Context.ListAsync(RemoteNames.Pins, null, cancellation);
        return new RemoteStatus(remote.Url, store.LogId, store.FirstLsn, end.LastLsn,
            lastTime is { } ms ? TimeText.FromMs(ms) : null, end.Epoch,
            end.Epoch == 0
                ? null : end.Author.ToString("x16"), hints.Count > 0
                ? hints[0].Lsn : null, hints.Count > 0 ? hints[0].Object.Modified : null, hints.Count,
            segments.Count, segments.Sum(s => s.Object.SizeBytes),
            extents.Count(e => RemoteNames.ExtentOf(e.Name) == e.Name), extents.Sum(e => e.SizeBytes), pins.Count)
        { AuthorId = end.Author, Holds = store.Holds };
    }

    static string Commits(int count)
        => $"{count.ToString("N0", CultureInfo.InvariantCulture)} commit{(count == 1 ? "" : "s")}";
}
