using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

// Opening, the work after each round of the applier (hints, dropping log), and closing.
public sealed partial class Store
{
    // At a clean close, fewer bytes of pages than this are left to the next open's replay instead of being flushed: both cost milliseconds.
    const long ReplayBytesAtClose = 1 << 20;
    const int SparesAtClose = 1;

    readonly LiveFiles live = new();
    bool checkpointWanted;
    long sizeAtCheckpoint;
    ulong hintsLsn, replayFrom;

    Store(StoreOptions options, IDisposable? storeLock, IPageStore pages)
    {
        this.options = options = options.WithinLogBound();
        home = options.Home;
        this.storeLock = storeLock;
        this.pages = pages;
        pending = new PendingCommits(options.PendingBytes);
        Cache = new PageCache(options.PageCacheBytes);
        Buffers = new PageBuffers(options.OverlayBytes + options.PendingBytes, SpillDirectory);
        reader = new PageReader(Cache, pending, pages);
        Catalog = new Catalog(Directory, reader);
    }

    /// <summary>Opens or creates the store, replaying what a crash left. Takes the directory's lock, naming the holder when it is taken.</summary>
    public static Store Open(StoreOptions options)
    {
        options.Home.Create();
        // A copy of a store's directory can be read, and does not come near the remote.
        var whyNotOwner = options.Home.WhyNotOwner(options.Remote?.Url);
        return OpenDirectory(whyNotOwner is null ? options : options with { Remote = null }, (store, recorder) =>
        {
            store.whyNotOwner = whyNotOwner;
            store.Replay(recorder);
        });
    }

    /// <summary>Takes the directory's lock. A disk that is handed in is not the system's: nobody else can open it.</summary>
    internal static IDisposable? TakeLock(StoreOptions options) => options.Disk is LocalDisk ? StoreLock.Take(options.Directory) : null;

    static Store OpenDirectory(StoreOptions options, Action<Store, FileRecorder?> start, IDisposable? taken = null)
    {
        var storeLock = taken ?? TakeLock(options);
        IPageStore? pages = null;
        Store? store = null;
        try
        {
            if (System.IO.Directory.Exists(options.Home.Spill)) System.IO.Directory.Delete(options.Home.Spill, recursive: true);
            var pagesDirectory = options.Home.Pages;
            var recorder = options.PagesInMemory ? null : new FileRecorder(pagesDirectory);
            pages = recorder is null
                ? new MemoryPageStore()
                : RocksPageStore.Open(new RocksPageStoreOptions { Directory = pagesDirectory, Recorder = recorder, LivePages = () => store!.CountPages() });
            store = new Store(options, storeLock, pages);
            start(store, recorder);
            return store;
        }
        catch
        {
            store?.ReleaseAll();
            pages?.Dispose();
            storeLock?.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Brings the store to the end of its log. Files and databases start from the hints, pages from what the page store holds; each takes the
    /// records that come after.
    /// </summary>
    void Replay(FileRecorder? recorder)
    {
        home.ThrowUnlessOwn();
        home.DeleteRelay();
        // Its log would begin without a word to the remote.
        if (whyNotOwner is not null && !home.HasLog) throw whyNotOwner;
        var (hints, createAt, epoch) = BeginAfterRestore(LoadHints());
        if (hints is not null && createAt is null && !home.HasLog) throw home.WithoutLog(hints);
        if (options.Remote is not null && createAt is null) StoreTakeOver.ThrowIfAnotherLine(options, hints);
        var applied = pages.Applied;
        var replay = new StoreReplay(this, applied, hintsLsn);
        var plain = new PlainReplay(options.Disk, home.Files, hints);
        using (replayApplier = new PageApplier(pages, pending))
        {
            log = LocalLog.Open(options.Disk, Directory, new LogOptions
            {
                LogId = hints?.LogId,
                CreateAt = createAt,
                Epoch = epoch,
                MaxLogBytes = options.MaxLocalLogBytes,
                SegmentBytes = options.SegmentBytes,
                FirstSegmentBytes = Math.Min(options.SegmentBytes, 1 << 20),
                Time = options.Time,
                NotBeforeMs = hints?.UnixTimeMs ?? 0,
                OnAppended = (in Record record) => live.Apply(record),
            }, ReplayFrom(hints, applied), (in Record record) =>
            {
                if (record.Lsn > hintsLsn)
                {
                    live.Apply(record);
                    plain.Take(record, live);
                }
                if (record.Lsn > hintsLsn || record.Kind is RecordKind.PageCommit or RecordKind.DatabaseDeleted) replay.Take(record);
            });
            plain.Verify(log, options.Alarm);
            plain.SyncAll();
            plain.Dispose();
            replayApplier = null;
        }
        home.NoteLogBegun();
        if (applied > log.LastLsn)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The pages in {Directory} hold commits up to LSN {applied}, but the log ends at {log.LastLsn}. Files of different times were mixed; restore the store.");
        files = new PlainFiles(options.Disk, home.Files, log, live.NewFnode, BeforePlainWrite, options.WalBufferBytes);
        files.Adopt(live.Files.Where(f => f.Class == FileClass.Plain).Select(f => (f.Fnode, f.Name, f.SizeBytes)), plain);
        recorder?.Attach(log, live.NewFnode, live);
        applier = new Applier(new PageApplier(pages, pending), log.Sync, pending, AfterRound);
        StartRemote();
        if (pending.Count > 0) applier.Notify();
    }

    /// <summary>The first record that a replay needs: what the hints say, or later when the page store went on since.</summary>
    static ulong ReplayFrom(Hints? hints, ulong applied) => hints is null ? 1 : Math.Max(hints.ReplayFrom, Math.Min(hints.Lsn, applied) + 1);

    Hints? LoadHints() => AdoptHints(LocalHints.LoadNewest(options.Disk, Directory));

    Hints? AdoptHints(Hints? hints)
    {
        hintsLsn = hints?.Lsn ?? 0;
        replayFrom = hints?.ReplayFrom ?? 1;
        if (hints is null) return null;
        live.Load(hints);
        foreach (var database in live.Databases)
            Catalog.Adopt(database.Id, database.Name, VersionOf(database.Id, database.Name, 0));
        Catalog.ReserveIds(live.NextDatabaseId);
        return hints;
    }

    internal DatabaseVersion VersionOf(uint id, string name, ulong createdLsn) =>
        DatabaseHeader.Load(pages, id, name) ?? new DatabaseVersion(createdLsn, 0, 0, false, 0);

    PageApplier? replayApplier;

    /// <summary>A replay that has gathered much brings it into the page store before it goes on; the log is durable as far as it is replayed.</summary>
    void MakeRoomInReplay()
    {
        if (replayApplier is null || pending.Bytes < pending.BudgetBytes / 2) return;
        while (pending.Bytes > 0 && replayApplier.ApplySome(static _ => { })) { }
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
    /// Whether a checkpoint would drop log. After one that could not drop everything, the next try comes when the log has grown by
    /// another LogBytesBetweenFlushes / 2.
    /// </summary>
    bool IsLogLong
    {
        get
        {
            var size = log.SizeBytes;
            return size >= options.LogBytesBetweenFlushes && size >= Volatile.Read(ref sizeAtCheckpoint) + (options.LogBytesBetweenFlushes / 2);
        }
    }

    /// <summary>Before a journal or WAL is written: a WAL's commits are the log's before the store hears of them.</summary>
    void BeforePlainWrite()
    {
        ThrowUnlessWritable();
        KeepLogShort();
    }

    /// <summary>
    /// Before something is written, and with no lock held. Commits of pages keep the log short by themselves; this is for a WAL that grows on and on, and for
    /// writers that are faster than the page store's disk: when half of the bound is reached they are slowed, not refused.
    /// </summary>
    void KeepLogShort()
    {
        var size = log.SizeBytes;
        var mustWait = size >= options.MaxLocalLogBytes / 2;
        if (!mustWait && size < options.LogBytesBetweenFlushes * 4) return;
        if (!IsLogLong) return;
        if (!mustWait)
        {
            applier!.Notify();
            return;
        }
        try
        {
            applier!.Drain();
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
    /// Writes local hints: the live files and databases as of now, and from where a replay starts. What comes before is dropped from
    /// the log. The plain files' bytes up to the hints are on the disk first.
    /// </summary>
    void PublishHints()
    {
        var hints = files.WithSums(Snapshot) with { UnixTimeMs = log.LastTimeMs };
        log.Sync(hints.Lsn);
        files.SyncAll();
        if (hints.Lsn != hintsLsn) LocalHints.Publish(options.Disk, Directory, hints);
        hintsLsn = hints.Lsn;
        log.DropBefore(hints.ReplayFrom);
    }

    /// <summary>What lives now, and from where a replay must start.</summary>
    Hints Snapshot()
    {
        lock (orderGate)
        {
            // With nothing pending, the page store's files hold every commit there is; the newest record may be of another kind.
            // Pages that are nowhere but in memory need the whole log.
            var persisted = options.PagesInMemory ? 0 : pages.PersistedApplied;
            var all = pending.Count == 0 && persisted == pages.Applied;
            // After that look: the files that hold what is persisted are among the events enqueued by now.
            log.AppendEvents();
            var hints = live.Snapshot(log.LogId, log.Epoch, lsn => Math.Max(replayFrom, (all ? lsn : Math.Min(lsn, persisted)) + 1));
            replayFrom = hints.ReplayFrom;
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

    /// <summary>How many pages all databases have together.</summary>
    long CountPages() => Databases.Sum(d => (long)d.Current.PageCount);

    readonly CancellationTokenSource closing = new();
    readonly Lock collectGate = new();
    Task? collecting;

    /// <summary>Closes cleanly: everything is durable, the next open has little to replay, the lock is released.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        try
        {
            if (viewedWals is not null) { }
            else if (IsReplica)
            {
                // From the middle of a group it goes back to where it was settled last.
                if (!isInGroup) Settle();
            }
            else if (poison is null && log.Poison is null && !options.ReadOnly) CloseCleanly();
        }
        catch (RecoveryException)
        {
            // Everything acknowledged is in the log; the next open replays it and meets the error again if it lasts.
        }
        ReleaseAll();
        pages.Dispose();
        storeLock?.Dispose();
    }

    void CloseCleanly()
    {
        if (hintsLsn == log.LastLsn && Remote is null) return;
        applier!.Drain();
        log.Sync(log.LastLsn);
        Remote?.ShipRest(log.LastLsn, ShipRestPatience);
        if (pages.UnflushedBytes > ReplayBytesAtClose && pages.PersistedApplied < pages.Applied) pages.Flush();
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
        reader.Dispose();
        applier?.Dispose();
        files?.Dispose();
        replicaPlain?.Dispose();
        unsettled?.Dispose();
        viewedWals?.Dispose();
        CloseRelay();
        pending.Clear();
        log?.Dispose();
        Cache.Dispose();
        Buffers.Dispose();
    }
}
