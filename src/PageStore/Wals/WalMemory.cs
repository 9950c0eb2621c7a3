using RecoveryVfs.PageStore.Files;
using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// Makes the WALs among a store's plain files, and counts the memory that their ends take.
/// <paramref name="budgetBytes"/> bounds it; writes under way may exceed that.
/// </summary>
internal sealed class WalMemory(long budgetBytes) : IPlainKinds
{
    long usedBytes;

    public long UsedBytes => Interlocked.Read(ref usedBytes);

    public bool IsMemoryFull => UsedBytes > budgetBytes;

    /// <summary>What one WAL's end may take, so that a large transaction leaves room for others.</summary>
    public long TailBytesMax => budgetBytes / 2;

    public PlainNode New(PlainFiles files, ulong fnode, string name, long size, ChunkSums sums, long vouchedUntil)
        => Wal.IsName(name)
        ? new WalNode(files, fnode, name, size, sums, vouchedUntil, this)
        : new PlainNode(files, fnode, name, size, sums, vouchedUntil);

    /// <summary>The end of a WAL whose file ends there now.</summary>
    public WalTail NewTail(long size)
    {
        var tail = new WalTail(change => Interlocked.Add(ref usedBytes, change));
        tail.Begin(size);
        return tail;
    }
}
