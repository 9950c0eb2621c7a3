using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Stores;

// A store that another process writes, as it is read here: a replica that keeps nothing in the directory.
public sealed partial class Store
{
    ViewedWals? viewedWals;

    internal ViewedWals? ViewedWals => viewedWals;

    /// <summary>
    /// Opens the store that its files hold, changing none of them: continue with the record <see cref="NextLsn"/> of its log. <paramref name="pages"/> must
    /// have been opened after <paramref name="hints"/> were read: what they say of older files is not enough for older pages.
    /// </summary>
    internal static Store OpenView(StoreOptions options, Hints? hints, IPageStore pages)
    {
        var store = new Store(options with { ReadOnly = true, Remote = null }, null, pages);
        try
        {
            store.StartView(hints);
            return store;
        }
        catch
        {
            store.ReleaseAll();
            throw;
        }
    }

    void StartView(Hints? hints)
    {
        AdoptHints(hints);
        replicaLsn = ReplayFrom(hints, pages.Applied) - 1;
        replicaReplay = new StoreReplay(this, pages.Applied, hintsLsn);
        replicaLogId = hints?.LogId ?? default;
        viewedWals = new ViewedWals(options.Disk, home.Files, SpillDirectory, live);
        applier = new Applier(new PageApplier(pages, pending), static _ => { }, pending, static () => { });
    }

    /// <summary>Waits until the page store has every commit that was applied before.</summary>
    internal void DrainPending() => applier!.Drain();
}
