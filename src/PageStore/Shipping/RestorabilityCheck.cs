using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>
/// Proves that the remote of an open store can be restored: restores it aside, from its newest hints and the log after
/// them, compares every database's checksum with the live one's at the same LSN, and reads every page.
/// </summary>
/// <remarks>
/// The live store goes on writing. Each database's newest version is noted first; the replay then passes by its LSN,
/// and must have its checksum there. What is restored lies in <c>verifying/</c> of the store's directory, as long as it
/// takes, so memory does not grow with the databases.
/// </remarks>
internal sealed class RestorabilityCheck(IShippedStore live, Catalog databases, StoreHome home,
    RemoteContext context, Shipper shipper)
{
    // Small: nobody waits for it, and the application needs the memory.
    const long CacheBytes = 4 << 20, OverlayBytes = 16 << 20, PendingBytes = 8 << 20;
    const int Parallelism = 2;
    const long SpareBytes = 64 << 20;

    readonly string directory = Path.Combine(home.Path, "verifying");
    readonly Dictionary<uint, DatabaseVersion> expected = [];
    readonly Dictionary<ulong, List<uint>> atLsn = [];

    /// <summary>
    /// Returns the LSN that was proved. Throws Corrupt or NotFound, naming what does not verify; anything else means
    /// that it could not be found out.
    /// </summary>
    public async Task<ulong> RunAsync(CancellationToken cancellation)
    {
        foreach (var database in databases.All) Expect(database.Id, database.Current);
        live.WriteOut();
        var target = live.Log.LastLsn;
        await shipper.SoonShippedAsync(target, cancellation);
        var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.At(target), null, cancellation);
        Clear();
        try
        {
            CheckRoom(plan);
            await RestoreAsync(plan, cancellation);
        }
        finally
        {
            Clear();
        }
        return target;
    }

    void Expect(uint id, DatabaseVersion version)
    {
        if (version.SizeBytes == 0) return;
        expected.Add(id, version);
        if (!atLsn.TryGetValue(version.Lsn, out var ids)) atLsn.Add(version.Lsn, ids = []);
        ids.Add(id);
    }

    async Task RestoreAsync(RestorePlan plan, CancellationToken cancellation)
    {
        var options =
            new StoreOptions
            {
                Directory = directory,
                PageCacheBytes = CacheBytes,
                OverlayBytes = OverlayBytes,
                PendingBytes = PendingBytes
            };
        using var restored = await StoreRestore.BeginAsync(plan, options, Parallelism, static _ => { }, cancellation);
        foreach (var id in expected.Keys) Compare(restored, id);
        await plan.ReplayAsync((in Record record) =>
        {
            if (record.Lsn < restored.NextLsn) return;
            restored.Apply(record);
            if (!record.Continues && atLsn.TryGetValue(record.Lsn, out var ids))
                foreach (var id in ids) Compare(restored, id);
        }, null, cancellation);
        foreach (var (id, version) in expected) CheckReached(restored, id, version);
        var problems = restored.Verify(null, cancellation);
        if (problems.Count > 0) throw Differs(string.Join("; ", problems));
    }

    void Compare(Replica restored, uint id)
    {
        var version = expected[id];
        if (restored.Catalog.Find(id) is not { } database || database.Current.Lsn != version.Lsn
            || database.Current.Checksum == version.Checksum)
            return;
        throw Differs(
            $"{database.Name} at LSN {version.Lsn} has checksum {database.Current.Checksum:x16} there and "
                + $"{version.Checksum:x16} here");
    }

    void CheckReached(Replica restored, uint id, DatabaseVersion version)
    {
        // Deleted here meanwhile.
        if (databases.Find(id) is not { } database) return;
        var found = restored.Catalog.Find(id)?.Current;
        if (found is null || found.Lsn < version.Lsn)
            throw Differs(
                $"{database.Name} was committed at LSN {version.Lsn}, and is there "
                    + $"{(found is null ? "not at all" : $"only as of LSN {found.Lsn}")}");
    }

    RecoveryException Differs(string how) => new(RecoveryError.Corrupt,
        $"What {context.Store.Location} restores to is not what {home.Path} holds: {how}.",
        "Keep both, ship to a new prefix (remote=...), and report this.")
    { Path = context.Store.Location };

    void CheckRoom(RestorePlan plan)
    {
        var (free, needed) =
            (new DriveInfo(home.Path).AvailableFreeSpace, plan.FetchBytes + (plan.FetchBytes / 8) + SpareBytes);
        if (free < needed)
            throw new RecoveryException(RecoveryError.Full,
                $"The remote {context.Store.Location} was not verified: that takes {needed >> 20} MiB in "
                + $"{directory}, and {free >> 20} MiB are free.",
                "Make room, or run `recovery verify` on another machine.")
            { Path = context.Store.Location };
    }

    void Clear()
    {
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }
}
