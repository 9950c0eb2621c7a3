using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Writing;

// What a remote needs of a store.
internal sealed partial class Store
{
    static readonly TimeSpan ShipRestPatience = TimeSpan.FromSeconds(5);

    /// <summary>The remote that this store ships to, or null.</summary>
    public StoreRemote? Remote { get; private set; }

    /// <summary>
    /// Sets where the store in a directory ships to from its next opening on: a URL, or <c>none</c>. Nobody may have it
    /// open; what it has shipped elsewhere stays there.
    /// </summary>
    public static void SetRemote(string directory, string url)
    {
        if (url != "none") RemoteUrl.Parse(url);
        using var held = StoreLock.Take(directory);
        new StoreHome(directory).WantRemote(url);
    }

    // Why this directory, a copy, takes no writes.
    readonly RecoveryException? whyNotOwner;

    /// <summary>The remote, for whoever has asked for one: a copy of a store's directory has none.</summary>
    public StoreRemote RemoteOrThrow() => Remote ?? throw NotOwner()
        ?? new RecoveryException(RecoveryError.Invalid, $"The store {Directory} has no remote.", "Set remote=URL.")
        { Path = Directory };

    RecoveryException? NotOwner() => whyNotOwner?.Again();

    void StartRemote()
    {
        if (options.Remote is null) return;
        Remote = new StoreRemote(this, options.Remote, options);
        Remote.Start();
    }

    /// <summary>
    /// The process exits while connections are open: what is committed is shipped, for as long as a close would wait.
    /// The store stays as it is, and other threads may still commit.
    /// </summary>
    public void ShipBeforeExit()
    {
        if (Remote is null || (poison ?? log.Poison) is not null) return;
        try
        {
            Sync();
            Remote.ShipRest(log.LastLsn, ShipRestPatience);
        }
        catch (RecoveryException)
        {
            // It stays in the local log; the next opening ships it.
        }
    }

    LocalLog IShippedStore.Log => log;
    string? IShippedStore.Holds => null;

    /// <summary>
    /// Only what RocksDB made is shipped: a name that leads elsewhere, or a link, would publish somebody's file.
    /// </summary>
    FileStream IShippedStore.OpenSealed(LiveFile file)
    {
        TrackedName.Check(file.Class, file.Name, $"The store {Directory}");
        Lazy?.Bring(file.Name);
        return RegularFile.OpenRead(Path.Combine(home.Pages, file.Name));
    }

    Task<ulong> IShippedStore.ProveAsync(RemoteContext context, Shipper shipper, CancellationToken cancellation) =>
        new RestorabilityCheck(this, Catalog, home, context, shipper).RunAsync(cancellation);

    void IShippedStore.CheckpointSoon()
    {
        Volatile.Write(ref checkpointWanted, true);
        applier.Notify();
    }

    /// <summary>While it lasts, RocksDB deletes no file.</summary>
    internal IDisposable? HoldFiles() => RocksPageStore.FilesOf(pages)?.HoldFiles();

    IDisposable? IShippedStore.HoldFiles() => HoldFiles();

    ulong IShippedStore.LastChangeLsn
        => Math.Max(Catalog.All.Select(d => d.Current.Lsn).DefaultIfEmpty().Max(), files.LastLsn);

    (Hints Hints, long UnixTimeMs) IShippedStore.SnapshotForRemote()
    {
        applier.Drain();
        CollectGarbageNow(CancellationToken.None);
        pages.Flush();
        return files.WhileFrozen(readBytes =>
        {
            var hints = Snapshot();
            // Never before the newest record's time, which a clock that was ahead may have set: a restore by time must
            // not find it in here.
            var now = Math.Max(options.Time.GetUtcNow().ToUnixTimeMilliseconds(), log.LastTimeMs);
            log.Sync(hints.Lsn);
            return (hints with
            {
                UnixTimeMs = now,
                Files = [.. hints.Files.Select(f => f.Class
                    == FileClass.Plain ? f with { Bytes = readBytes(f.Fnode, f.SizeBytes) } : f)],
            }, now);
        });
    }

    /// <summary>
    /// Waits until everything that is in the log now can be restored from the remote, without forcing a request; see
    /// <see cref="StoreRemote.SyncTo"/>. Without a remote it is synced here, and an error: who asks for it
    /// believes that there is one.
    /// </summary>
    public void SyncRemote(TimeSpan? patience = null)
    {
        if (NotOwner() is { } why) throw why;
        Sync();
        if (Remote is null)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The store {Directory} has no remote to sync with; what was committed is durable on this machine.",
                "Set remote=URL (recovery remote set).")
            { Path = Directory };
        Remote.SyncTo(log.LastLsn, patience ?? StoreRemote.OutagePatience);
    }

    /// <summary>
    /// Returns when a commit can be restored from the remote (durability=remote): shipped, with hints to start from.
    /// </summary>
    public void WaitRestorable(ulong lsn)
    {
        if (NotOwner() is { } why) throw why;
        if (Remote is null)
            throw new RecoveryException(RecoveryError.Invalid,
                $"durability=remote needs a remote, and the store {Directory} has none.",
                "Set remote=URL.")
            { Path = Directory };
        Remote.WaitRestorable(lsn);
    }
}
