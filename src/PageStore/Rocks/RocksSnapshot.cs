using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>RocksDB's snapshot: a sequence number that compactions respect.</summary>
internal sealed class RocksSnapshot(RocksPageStore store, nint pointer) : IPageSnapshot
{
    readonly Lock gate = new();
    nint pointer = pointer;
    ulong? applied;

    /// <summary>
    /// Read from the snapshot itself, so that it is exact whatever is applied meanwhile; and only when asked.
    /// </summary>
    public ulong Applied
    {
        get
        {
            lock (gate)
                return applied ??= store.ReadApplied(Pointer);
        }
    }

    internal nint Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(pointer == 0, this);
            return pointer;
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (pointer == 0)
                return;
            store.Release(pointer);
            pointer = 0;
        }
    }
}
