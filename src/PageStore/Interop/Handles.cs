using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>An open store. Calls keep it alive: a store closed while one runs is closed when that one ends.</summary>
internal sealed class StoreHandle : SafeHandle
{
    RecordedFiles? files;

    public StoreHandle() : base(0, ownsHandle: true)
    {
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>Takes the store, and the files it was opened with (closed after it).</summary>
    internal void Take(nint store, RecordedFiles? recordedFiles)
    {
        SetHandle(store);
        files = recordedFiles;
    }

    protected override bool ReleaseHandle()
    {
        Native.rv_close(handle);
        files?.Dispose();
        return true;
    }
}

/// <summary>RocksDB's write batch.</summary>
internal sealed class BatchHandle : SafeHandle
{
    public BatchHandle() : base(0, ownsHandle: true) =>
        SetHandle(Native.rv_batch_create() is var batch
            and not 0 ? batch : throw new InsufficientMemoryException("There is no memory for a write batch."));

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        Native.rv_batch_free(handle);
        return true;
    }
}
