using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Siblings;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Operations;

/// <summary>
/// A store of its own that begins as another one on this machine is, open or not (<see cref="SiblingStore"/>). Each
/// goes its own way from there.
/// </summary>
internal static class LocalBranch
{
    const string Made = "store", StagingName = "branch";

    /// <summary>Makes it in <c>INTO/.recovery</c>, whole or not at all.</summary>
    public static Branch Make(StoreDirectory from, string into, CancellationToken cancellation = default)
    {
        into = Path.GetFullPath(into);
        var store = StoreDirectory.Within(into);
        Restoring.CheckPlace(store);
        ThrowUnlessBranchable(from);
        using var staging = new Staging(into, "recovery");
        var made = SiblingStore.Make(new StoreOptions { Directory = from.Path }, staging.Path(Made), cancellation);
        if (Directory.Exists(store)) Directory.Delete(store); // Empty, or it would have been refused.
        staging.MoveOut(Made, store);
        foreach (var name in made.Databases)
            if (Stub.Read(Path.Combine(into, name)).Content is PathContent.Missing or PathContent.Empty)
                Stub.Write(Path.Combine(into, name), store, name);
        LocalDisk.Instance.SyncDirectory(into);
        return new Branch(store, from.Path, made.Lsn, TimeText.FromMs(made.UnixTimeMs), null);
    }

    /// <summary>
    /// Makes a remote of a store that has none: the same, aside on the store's own disk, and shipped whole.
    /// </summary>
    public static async Task<Branch> ShipAsync(StoreDirectory from, string url, CancellationToken cancellation)
    {
        ThrowUnlessBranchable(from);
        await using (var there = RemoteAccess.Open(url))
            if (await there.TryStoreAsync(cancellation) is not null)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"There is a remote at {url} already.",
                    "Choose another URL for the branch.")
                { Path = url };
        using var staging = new Staging(from.Path, StagingName);
        var made = SiblingStore.Make(new StoreOptions { Directory = from.Path }, staging.Path(Made), cancellation);
        await StoreSync.RunAsync(StoreDirectory.Find(staging.Path(Made)),
            new SyncOptions { Remote = url, Patience = TimeSpan.FromDays(1) }, cancellation);
        return new Branch(RemoteUrl.Parse(url).ToString(), from.Path, made.Lsn, TimeText.FromMs(made.UnixTimeMs), null)
        {
            IsCopy = true,
        };
    }

    static void ThrowUnlessBranchable(StoreDirectory from)
    {
        if (from.IsOfRocksDb)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{from.Databases} is a RocksDB's directory: branches are of SQLite databases.",
                "Make a copy with RocksDB's own checkpoint, or restore its remote into another directory.")
            { Path = from.Path };
        if (from.IsReplica)
            throw new RecoveryException(RecoveryError.Invalid, $"The store {from.Path} follows another one.",
                "Branch the remote that it follows.")
            { Path = from.Path };
    }
}
