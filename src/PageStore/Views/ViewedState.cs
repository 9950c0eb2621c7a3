using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Views;

/// <summary>
/// One opening of a store that another process writes: its RocksDB files as they were flushed last, what the log says
/// since, and where the log was read to. Goes on with the log as long as the log is the same; then a new opening takes
/// its place, and this one ends with its last reader.
/// </summary>
internal sealed class ViewedState : IReadHost
{
    // Files that were replaced hold disk space as long as they are open here.
    static readonly TimeSpan StaleMax = TimeSpan.FromMinutes(1);

    readonly StoreOptions options;
    readonly LayeredPageStore pages;
    readonly ReplayedStore store;
    readonly ViewedWals copies;
    readonly LogTail? tail;
    readonly Lock gate = new();
    FollowedWals? wals;
    long rebasedAt;
    ManifestMark rebasedFrom;
    int readers;
    bool retired, broken, stuck;

    ViewedState(StoreOptions options, LayeredPageStore pages, ReplayedStore store, ViewedWals copies, LogTail? tail,
        bool isReplica, Guid logId)
    {
        (this.options, this.pages, this.store, this.copies, this.tail) = (options, pages, store, copies, tail);
        (IsReplica, LogId) = (isReplica, logId);
        rebasedAt = options.Time.GetTimestamp();
    }

    /// <summary>Whether a follower keeps the directory.</summary>
    public bool IsReplica { get; }

    /// <summary>The newest record taken.</summary>
    public ulong Lsn => store.LastLsn;

    /// <summary>The log's identity.</summary>
    public Guid LogId { get; }

    /// <summary>Whether what it shows may be wrong, because something failed.</summary>
    public bool IsBroken => broken;

    static string PagesOf(StoreOptions options) => options.Home.Pages;

    /// <summary>
    /// Opens what is there now, to the end of the log. Throws when something is missing or does not fit, as it may be
    /// because a writer replaces it meanwhile.
    /// </summary>
    public static ViewedState Open(StoreOptions options)
    {
        // In this order: pages are never older than the hints say, and the log reaches at least as far as either.
        var isReplica = options.Home.IsReplica;
        using var unsettled = options.Home.OpenUnsettled();
        var hints = LocalHints.LoadNewest(options.Disk, options.Directory);
        options.Home.RequirePages();
        var pages = new LayeredPageStore(OpenFiles(options), Path.GetTempPath());
        // The page store was opened after the hints were read: what they say of older files is not enough for older
        // pages.
        var core = new StoreCore(options with { Remote = null }, pages, Path.GetTempPath());
        ReplayedStore? store = null;
        ViewedWals? copies = null;
        try
        {
            core.AdoptHints(hints);
            copies = new ViewedWals(options.Disk, options.Home.Files, Path.GetTempPath(), hints);
            store = new ReplayedStore(core, hints, copies.Take);
            // What a follower was sent is somebody else's, here as there.
            if (isReplica) store.Room = new DiskReserve(LocalDisk.Instance, Path.GetTempPath());
            var (applied, from) = (pages.Applied, store.NextLsn);
            var log = new WritersLog(options, isReplica);
            var tail = log.Open(isReplica && unsettled.Lsn > 0, hints, from);
            var opened = new ViewedState(options, pages, store, copies, tail, isReplica, tail?.LogId ?? hints!.LogId);
            store.SetSource(opened.LogId, 0);
            if (tail is not null) log.ReadToEnd(tail, opened.Take);
            var least = Math.Max(Math.Max(applied, hints?.Lsn ?? 0), isReplica ? unsettled.Lsn : 0);
            if (opened.Lsn < least) throw Behind(options.Directory, isReplica, opened.Lsn, least);
            copies.ThrowUnlessWhole(core.Live);
            opened.wals = new FollowedWals(core.Live, opened.Lsn, copies.Open);
            return opened;
        }
        catch
        {
            copies?.Dispose();
            if (store is null) core.Dispose();
            else store.Dispose();
            throw;
        }
    }

    static RecoveryException Behind(string directory, bool isReplica, ulong lsn, ulong least) => isReplica
        ? new RecoveryException(RecoveryError.Busy,
            $"The follower {directory} has not come back to where its files are whole (LSN "
                + $"{lsn}{(least == ulong.MaxValue ? "" : $" of {least}")}).",
            "Try again in a while.")
        { Path = directory, Lsn = lsn }
        : new RecoveryException(RecoveryError.Corrupt,
            $"The files in {directory} hold commits up to LSN {least}, but the log ends at {lsn}.",
            "Files of different times were mixed; restore the store.")
        { Path = directory, Lsn = lsn };

    static RocksPageStore? OpenFiles(StoreOptions options)
    {
        options.Home.ThrowIfLazy();
        try
        {
            return RocksPageStore.Open(
                new RocksPageStoreOptions { Directory = PagesOf(options), Mode = RocksMode.ReadOnly });
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            // Nothing was flushed yet, and so no log was dropped.
            return null;
        }
    }

    void Take(in Record record)
    {
        store.Apply(record);
        wals?.Take(record);
    }

    /// <summary>Takes what the log has got since. False when that cannot be: then open anew.</summary>
    public bool TryAdvance()
    {
        if (broken || stuck) return false;
        if (tail is null)
            return !new WritersLog(options, IsReplica).HasBegun && IsReplica == options.Home.IsReplica;
        return TryTake() && (!IsRebaseDue || TryRebase());
    }

    bool TryTake()
    {
        // What throws may have been published before it was found wrong.
        broken = true;
        var taken = tail!.TryAdvance(Take);
        broken = false;
        // A group that was taken in part is not shown, but nothing can follow it.
        stuck = tail.IsWithinGroup;
        return taken;
    }

    bool IsRebaseDue => (pages.AboveBytes > options.OverlayBytes || options.Time.GetElapsedTime(rebasedAt) > StaleMax)
        && ManifestMark.Of(PagesOf(options)) is var mark && mark != rebasedFrom && pages.IsStale(PagesOf(options));

    /// <summary>Takes the writer's newer files in place of what is kept above the old ones.</summary>
    bool TryRebase()
    {
        rebasedFrom = ManifestMark.Of(PagesOf(options));
        rebasedAt = options.Time.GetTimestamp();
        if (OpenFiles(options) is not { } newer) return true;
        var isTaken = false;
        try
        {
            // The log has every commit that these files hold.
            if (!TryTake()) return false;
            store.Drain();
            if (newer.Applied > pages.Applied) return false;
            pages.Rebase(newer);
            isTaken = true;
        }
        finally
        {
            if (!isTaken) newer.Dispose();
        }
        return true;
    }

    /// <summary>One more reader.</summary>
    public FollowerReader Read()
    {
        lock (gate) readers++;
        return new FollowerReader(this, store, wals!);
    }

    public void EndRead()
    {
        lock (gate)
            if (--readers > 0 || !retired) return;
        Close();
    }

    /// <summary>It gets no more readers; ends with the last.</summary>
    public void Retire()
    {
        lock (gate)
        {
            retired = true;
            if (readers > 0) return;
        }
        Close();
    }

    void Close()
    {
        wals?.Dispose();
        copies.Dispose();
        store.Dispose();
    }
}
