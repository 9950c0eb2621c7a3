using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Past;

/// <summary>
/// A store's own directory as it was at some moment: its page files as they were flushed last, and on from there by its
/// log. Nothing is written there, and whoever has it open goes on. It reaches back to that flush; what was before is in
/// the pages no more.
/// </summary>
internal sealed class LocalPast : PastStore
{
    readonly StoreOptions options;
    readonly LogTail? tail;
    bool hasStepped;

    LocalPast(StoreOptions options, PassingLog log, LogTail? tail) : base(log) =>
        (this.options, this.tail) = (options, tail);

    /// <inheritdoc/>
    protected override string Location => $"the log of the store {options.Directory}";

    /// <summary>The oldest moment that it can show: LSN 0 is before the first record.</summary>
    public ulong OldestLsn { get; private init; }

    /// <summary>When that was.</summary>
    public DateTimeOffset OldestTime { get; private init; }

    /// <summary>The epoch of the store's log.</summary>
    public ulong Epoch => tail?.Epoch ?? 0;

    /// <summary>
    /// Opens the oldest moment there is. Throws NotFound or Corrupt when something is missing or does not fit, as it
    /// may be while a writer replaces it.
    /// </summary>
    public static LocalPast OpenOldest(StoreOptions options)
    {
        var temporary = Path.GetTempPath();
        // In this order: pages are never older than the hints say, and the log reaches at least as far as either.
        var hints = LocalHints.LoadNewest(options.Disk, options.Directory);
        var pages = new LayeredPageStore(OpenFiles(options), temporary);
        var core = new StoreCore(options with { Remote = null }, pages, temporary);
        ReplayedStore? store = null;
        ViewedWals? copies = null;
        try
        {
            core.AdoptHints(hints);
            copies = new ViewedWals(options.Disk, options.Home.Files, temporary, hints, asOfHints: true);
            store = new ReplayedStore(core, hints, copies.Take);
            return OpenOldest(options, hints, core, store, copies);
        }
        catch
        {
            copies?.Dispose();
            if (store is null) core.Dispose();
            else store.Dispose();
            throw;
        }
    }

    static LocalPast OpenOldest(StoreOptions options, Hints? hints, StoreCore core, ReplayedStore store,
        ViewedWals copies)
    {
        var from = store.NextLsn;
        var tail = OpenTail(options, from);
        store.SetSource(tail.LogId, 0);
        var (oldest, oldestMs) = OldestShown.Find(options, hints, core.Pages.Applied, from,
            core.Catalog.All.Any(d => d.Current.IsWal));
        if (!tail.TryAdvance(store.Apply, (in Record r) => r.Lsn > oldest) || store.LastLsn < oldest)
            throw new RecoveryException(RecoveryError.NotFound,
                $"The log of the store {options.Directory} ends before LSN {oldest}, or changed meanwhile.")
            { Path = options.Directory, Lsn = oldest };
        PassChangedWals(tail, store, copies);
        oldest = store.LastLsn;
        var known = core.Live.Snapshot(tail.LogId, 0, _ => oldest + 1) with { Lsn = oldest };
        var wals = new FollowedWals(core.Live, store.LastLsn, copies.Open);
        var isSince = oldest >= (hints?.Lsn ?? 0);
        var time = DateTimeOffset.FromUnixTimeMilliseconds(isSince ? store.LastTimeMs : oldestMs);
        var log = new PassingLog(store, store.Apply, new Parts(store, copies), wals, oldest == 0 ? null : known);
        return new LocalPast(options, log, tail)
        {
            OldestLsn = oldest,
            OldestTime = time,
            Lsn = oldest,
            Time = time,
            LogId = tail.LogId
        };
    }

    static LogTail OpenTail(StoreOptions options, ulong from) =>
        LogTail.TryOpen(options.Disk, options.Directory, from)
            ?? throw new RecoveryException(RecoveryError.NotFound,
                $"The store {options.Directory} has no log from LSN {from} on.")
            { Path = options.Directory, Lsn = from };

    /// <summary>
    /// A WAL that was changed after the hints is there as it is now, and not as they say. It can be shown from where
    /// the records have all that was changed.
    /// </summary>
    static void PassChangedWals(LogTail tail, ReplayedStore store, ViewedWals copies)
    {
        for (var looked = -1; ;)
        {
            if (looked != copies.Mendings)
            {
                looked = copies.Mendings;
                if (copies.AreWhole(store.Core.Live)) return;
            }
            var hasEnded = false;
            var before = store.LastLsn;
            if (!tail.TryAdvance(Apply, (in Record _) => hasEnded) || store.LastLsn == before) break;

            void Apply(in Record record)
            {
                store.Apply(record);
                hasEnded = !record.Continues;
            }
        }
        copies.ThrowUnlessWhole(store.Core.Live);
    }

    static RocksPageStore? OpenFiles(StoreOptions options)
    {
        options.Home.ThrowIfLazy();
        try
        {
            return RocksPageStore.Open(
                new RocksPageStoreOptions { Directory = options.Home.Pages, Mode = RocksMode.ReadOnly });
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            // Nothing was flushed yet, and so no log was dropped.
            return null;
        }
    }

    /// <summary>Whether a moment is not before the oldest.</summary>
    public bool Reaches(RestoreTarget at) =>
        (at.Lsn ?? ulong.MaxValue) >= OldestLsn
            && (at.TimeMs ?? long.MaxValue) >= OldestTime.ToUnixTimeMilliseconds();

    /// <summary>Goes on to the moment that is to be shown first.</summary>
    public void Begin(RestoreTarget at)
    {
        Advance(at);
        Reached(at);
        BeginHere();
    }

    void Advance(RestoreTarget to)
    {
        if (tail?.TryAdvance(Pass, (in Record r) => IsBeyond(to, r.Lsn, r.UnixTimeMs)) == false) throw Moved();

        void Pass(in Record record)
        {
            Take(record);
            if (!record.Continues) Log.Commits.Clear();
        }
    }

    /// <inheritdoc/>
    protected override ValueTask<bool> StepAsync(RestoreTarget to, bool wait, CancellationToken cancellation)
    {
        hasStepped = false;
        cancellation.ThrowIfCancellationRequested();
        if (tail?.TryAdvance((in Record r) => hasStepped |= Take(r),
            (in Record r) => hasStepped || IsBeyond(to, r.Lsn, r.UnixTimeMs)) == false)
            throw Moved();
        return new(hasStepped);
    }

    RecoveryException Moved() => new(RecoveryError.NotFound,
        $"The log of the store {options.Directory} went on beyond LSN {Lsn} while it was read, and has dropped what "
            + "follows. Try again.");

    sealed class Parts(ReplayedStore store, ViewedWals copies) : IDisposable
    {
        public void Dispose()
        {
            copies.Dispose();
            store.Dispose();
        }
    }
}
