using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Writing;

namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>
/// One commit of a mirror, under way: pages as a transaction left them. Nothing of it is seen, or stays, unless it is
/// committed.
/// </summary>
internal sealed class MirrorCommit : IDisposable
{
    readonly Store store;
    readonly PageOverlay overlay;
    readonly int pageSize;

    public MirrorCommit(Store store, Database database, int pageSize)
    {
        (this.store, this.pageSize) = (store, pageSize);
        var basis = database.Current;
        overlay = store.BeginOverlay(database, basis);
        // Pages of another size are other pages: all of them are written.
        if (basis.PageSize != pageSize) overlay.Truncate(0);
    }

    /// <summary>How many pages were written.</summary>
    public long Written { get; private set; }

    public void Write(uint page, ReadOnlySpan<byte> bytes)
    {
        overlay.Write((page - 1L) * pageSize, bytes);
        Written++;
    }

    /// <summary>
    /// Commits, with so many pages from here on; returns the LSN. It survives the end of this process, and loss of
    /// power after the store's next sync.
    /// </summary>
    public ulong Commit(uint sizePages)
    {
        End(sizePages);
        return store.Commit([overlay], durable: false);
    }

    /// <summary>
    /// The same for one of many that come at once: it survives the end of this process only after
    /// <see cref="Mirror.WriteOut"/>.
    /// </summary>
    public void CommitOneOfMany(uint sizePages)
    {
        End(sizePages);
        store.CommitOneOfMany(overlay);
    }

    void End(uint sizePages)
    {
        var size = sizePages * (long)pageSize;
        // What SQLite never wrote reads as zeros.
        if (overlay.SizeBytes < size) overlay.Write(size - pageSize, new byte[pageSize]);
        overlay.Truncate(size);
    }

    public void Dispose() => overlay.Dispose();
}
