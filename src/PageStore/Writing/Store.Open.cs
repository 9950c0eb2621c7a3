using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Writing;

// Opening, the work after each round of the applier (hints, dropping log), and closing.
internal sealed partial class Store
{
    // At a clean close, fewer bytes of pages than this are left to the next open's replay instead of being flushed:
    // both cost milliseconds.
    const long ReplayBytesAtClose = 1 << 20;
    const int SparesAtClose = 1;

    readonly CancellationTokenSource closing = new();
    readonly Lock collectGate = new();
    Task? collecting;
    bool checkpointWanted, hasEarlierHints;
    long sizeAtCheckpoint;

    /// <summary>
    /// Opens or creates the store, replaying what a crash left. Takes the directory's lock, naming the holder when it
    /// is taken.
    /// </summary>
    public static Store Open(StoreOptions options)
    {
        options.Home.ThrowIfOfRocksDb();
        options.Home.Create();
        // A copy of a store's directory can be read, and does not come near the remote.
        var whyNotOwner = options.Home.WhyNotOwner(options.Remote?.Url);
        if (whyNotOwner is not null) options = options with { Remote = null };
        options = LazyFiles.OpenedByWriter(options);
        var storeLock = StoreLock.TakeFor(options);
        try
        {
            return new Store(StoreRecovery.Run(options, whyNotOwner), storeLock, whyNotOwner);
        }
        catch
        {
            storeLock?.Dispose();
            throw;
        }
    }

    Store(StoreRecovery.Replayed opened, IDisposable? storeLock, RecoveryException? whyNotOwner)
    {
        (core, log) = (opened.Core, opened.Log);
        (options, home, pages, pending) = (core.Options, core.Home, core.Pages, core.Pending);
        publish = core.Publish;
        (this.storeLock, this.whyNotOwner) = (storeLock, whyNotOwner);
        wals = new WalMemory(options.WalBufferBytes);
        files = new PlainFiles(options.Disk, home.Files, log, core.Live.NewFnode, BeforePlainWrite, wals);
        // It sleeps until it is told of a commit.
        applier = new Applier(new PageApplier(pages, pending), log.Sync, pending, AfterRound);
        try
        {
            files.Adopt(core.Live.Files.Where(f => f.Class == FileClass.Plain)
                .Select(f => (f.Fnode, f.Name, f.SizeBytes)), opened.Plain);
            opened.Recorder?.Attach(log, core.Live.NewFnode, core.Live);
            StartRemote();
            BeginToFetch();
        }
        catch
        {
            ReleaseAll();
            throw;
        }
        // What an earlier version did not vouch for is vouched for soon, not only when the log is long.
        checkpointWanted = hasEarlierHints = whyNotOwner is null && opened.Plain.NeedsHints;
        if (pending.Count > 0 || hasEarlierHints) applier.Notify();
    }

    /// <summary>On the applier's thread: keeps the log short.</summary>
    void AfterRound()
    {
        files.UnlinkDeleted();
        var wanted = Volatile.Read(ref checkpointWanted);
        if (!wanted && !IsLogLong) return;
        CheckpointNow();
        CollectGarbageInBackground();
        if (wanted) Volatile.Write(ref checkpointWanted, false);
        Volatile.Write(ref sizeAtCheckpoint, log.SizeBytes);
    }

    /// <summary>
    /// Whether a checkpoint would drop log. After one that could not drop everything, the next try comes when the log
    /// has grown by another LogBytesBetweenFlushes / 2.
    /// </summary>
    bool IsLogLong
    {
        get
        {
            var size = log.SizeBytes;
            return size >= options.LogBytesBetweenFlushes
                && size >= Volatile.Read(ref sizeAtCheckpoint) + (options.LogBytesBetweenFlushes / 2);
        }
    }

    /// <summary>
    /// Before a journal or WAL is written: a WAL's commits are the log's before the store hears of them.
    /// </summary>
    void BeforePlainWrite()
    {
        ThrowUnlessWritable();
        KeepLogShort();
    }

    /// <summary>
    /// Before something is written, and with no lock held. Commits of pages keep the log short by themselves; this is
    /// for a WAL that grows on and on, and for writers that are faster than the page store's disk: when half of the
    /// bound is reached they are slowed, not refused.
    /// </summary>
    void KeepLogShort()
    {
        var size = log.SizeBytes;
        var mustWait = size >= options.MaxLocalLogBytes / 2;
        if (!mustWait && size < options.LogBytesBetweenFlushes * 4) return;
        if (!IsLogLong) return;
        if (!mustWait)
        {
            applier.Notify();
            return;
        }
        try
        {
            applier.Drain();
        }
        catch (RecoveryException)
        {
            // Pages cannot enter the page store: the log takes what it may, and then says so.
        }
    }

    void CheckpointNow()
    {
        if (pages.PersistedApplied < pages.Applied) pages.Flush();
        log.EndLongSegment();
        PublishHints();
    }

    /// <summary>
    /// Writes local hints: the live files and databases as of now, and from where a replay starts. What comes before is
    /// dropped from the log. The plain files' bytes up to the hints are on the disk first.
    /// </summary>
    void PublishHints()
    {
        var hints = files.WithSums(Snapshot) with { UnixTimeMs = log.LastTimeMs };
        log.Sync(hints.Lsn);
        files.SyncAll();
        if (hints.Lsn != core.HintsLsn || hasEarlierHints) LocalHints.Publish(options.Disk, Directory, hints);
        hasEarlierHints = false;
        core.HintsLsn = hints.Lsn;
        log.DropBefore(hints.ReplayFrom);
    }

    /// <summary>What lives now, and from where a replay must start.</summary>
    Hints Snapshot()
    {
        lock (orderGate)
        {
            // With nothing pending, the page store's files hold every commit there is; the newest record may be of
            // another kind. Pages that are nowhere but in memory need the whole log.
            var persisted = pages is MemoryPageStore ? 0 : pages.PersistedApplied;
            var all = pending.Count == 0 && persisted == pages.Applied;
            // After that look: the files that hold what is persisted are among the events enqueued by now.
            log.AppendEvents();
            var hints = core.Live.Snapshot(log.LogId, log.Epoch,
                lsn => Math.Max(core.ReplayFrom, (all ? lsn : Math.Min(lsn, persisted)) + 1));
            core.ReplayFrom = hints.ReplayFrom;
            return hints;
        }
    }

    /// <summary>One at a time: rewrites files that are mostly garbage, on a thread of its own.</summary>
    void CollectGarbageInBackground()
    {
        if (collecting is { IsCompleted: false }) return;
        collecting = Task.Run(() => CollectGarbageNow(closing.Token));
    }

    void CollectGarbageNow(CancellationToken cancellation)
    {
        lock (collectGate)
        {
            try
            {
                pages.CollectGarbage(cancellation);
            }
            catch (RecoveryException)
            {
                // Space is given back later; if the page store is in trouble, whoever writes next is told.
            }
            catch (OperationCanceledException)
            {
                // The store closes.
            }
        }
    }

    /// <summary>
    /// Closes cleanly: everything is durable, the next open has little to replay, the lock is released.
    /// </summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        try
        {
            if (poison is null && log.Poison is null) CloseCleanly();
        }
        catch (RecoveryException)
        {
            // Everything acknowledged is in the log; the next open replays it and meets the error again if it lasts.
        }
        ReleaseAll();
        storeLock?.Dispose();
    }

    /// <summary>
    /// Whether the next opening finds little that no file of pages holds. Hints say from where on it must look, and
    /// they may be of a moment at which a commit was in the log and nowhere else.
    /// </summary>
    bool IsLittleToReplay => pending.Bytes <= ReplayBytesAtClose
        && (pages.UnflushedBytes <= ReplayBytesAtClose || pages.PersistedApplied >= pages.Applied);

    void CloseCleanly()
    {
        if (core.HintsLsn == log.LastLsn && IsLittleToReplay && Remote is null) return;
        applier.Drain();
        log.Sync(log.LastLsn);
        Remote?.ShipRest(log.LastLsn, ShipRestPatience);
        if (!IsLittleToReplay) pages.Flush();
        PublishHints();
        // Flushing and hints changed files, which the log says too: a closed store lags behind nothing.
        Remote?.ShipRest(log.LastLsn, ShipRestPatience / 5);
        log.TrimSpares(SparesAtClose);
    }

    void ReleaseAll()
    {
        closing.Cancel();
        collecting?.Wait();
        Remote?.DisposeAsync().AsTask().GetAwaiter().GetResult();
        core.Reader.Dispose();
        applier.Dispose();
        files.Dispose();
        log.Dispose();
        core.Dispose();
    }
}
