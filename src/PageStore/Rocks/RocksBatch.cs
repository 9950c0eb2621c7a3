using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>RocksDB's write batch: what is put goes straight into native memory.</summary>
internal sealed unsafe class RocksBatch(PlaceMap? places) : IPageBatch
{
    /// <summary>RocksDB's batch begins with 12 bytes of its own.</summary>
    const int EmptyBytes = 12;

    internal BatchHandle Handle { get; } = new();

    public long SizeBytes => Native.rv_batch_bytes(Handle) - EmptyBytes;

    public void Put(uint database, uint page, ReadOnlySpan<byte> value)
    {
        PageLimits.Check(database);
        PageLimits.CheckValue(value.Length);
        places?.Touch(database, page);
        fixed (byte* bytes = value)
            Check(Native.rv_batch_put(Handle, database, page, bytes, value.Length));
    }

    public void DeleteRange(uint database, uint firstPage, uint lastPage)
    {
        PageLimits.Check(database);
        if (firstPage > lastPage) return;
        places?.TouchRange(database, firstPage, lastPage);
        Check(Native.rv_batch_delete_range(Handle, database, firstPage, lastPage));
    }

    public void Clear() => Native.rv_batch_clear(Handle);

    public void Dispose() => Handle.Dispose();

    static void Check(Native.Code code)
    {
        if (code != Native.Code.Ok) // there is nothing else that can go wrong
            throw new OutOfMemoryException("No memory for another page in a batch: apply it, and go on with the next.");
    }
}
