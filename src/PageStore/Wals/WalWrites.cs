using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>A page that a transaction wrote into a WAL.</summary>
/// <param name="Page">Its number, from 1.</param>
/// <param name="Length">The bytes of the page.</param>
/// <param name="Bytes">All of them; empty when they were not asked for.</param>
internal readonly record struct WalPage(uint Page, int Length, ReadOnlyMemory<byte> Bytes);

/// <summary>
/// A transaction in a WAL: its pages, the database's sizes after it, and the bytes of the log that hold it.
/// </summary>
internal readonly record struct WalTransaction(IReadOnlyList<WalPage> Pages, int PageSize, long SizeBytes, long Bytes);

/// <summary>
/// Watches the writes to one SQLite WAL go by and tells where a transaction ends. SQLite writes a frame as its 24-byte
/// header and then its page, which come as one record, or as two where they overwrite; the header of a transaction's
/// last frame holds the database's size in pages, all others zero. Nothing before the first write seen is needed, and
/// nothing is verified: the log has done that.
/// </summary>
internal sealed class WalWrites(bool withPages)
{
    readonly SortedDictionary<long, WalPage> frames = [];
    long headerAt = -1, bytes;
    uint page, sizePages;

    /// <summary>
    /// Takes a write; true when it ends a transaction, whose pages, size and log bytes it then gives.
    /// </summary>
    public bool Take(in FileWrite write, int recordBytes, out WalTransaction commit)
    {
        commit = default;
        bytes += recordBytes;
        if (write.Offset == 0 && write.Bytes.Length == Wal.HeaderBytes) Forget();
        else if (write.Offset >= Wal.HeaderBytes && write.Bytes.Length == Wal.FrameHeaderBytes)
            TakeHeader(write.Offset, write.Bytes);
        else if (write.Offset >= Wal.HeaderBytes && Wal.IsPageSize(write.Bytes.Length - Wal.FrameHeaderBytes))
        {
            TakeHeader(write.Offset, write.Bytes);
            return TakePage(write.Bytes[Wal.FrameHeaderBytes..], out commit);
        }
        else if (write.Offset == headerAt + Wal.FrameHeaderBytes && headerAt >= 0 && Wal.IsPageSize(write.Bytes.Length))
            return TakePage(write.Bytes, out commit);
        return false;
    }

    /// <summary>The WAL starts anew.</summary>
    public void Forget()
    {
        frames.Clear();
        headerAt = -1;
        bytes = 0;
    }

    void TakeHeader(long offset, ReadOnlySpan<byte> header)
    {
        headerAt = offset;
        page = BinaryPrimitives.ReadUInt32BigEndian(header);
        sizePages = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
    }

    bool TakePage(ReadOnlySpan<byte> content, out WalTransaction commit)
    {
        commit = default;
        // What an earlier transaction, rolled back, left at or after this place is overwritten.
        foreach (var later in frames.Keys.Where(k => k >= headerAt).ToArray()) frames.Remove(later);
        frames[headerAt] = new WalPage(page, content.Length, withPages ? content.ToArray() : default);
        if (sizePages == 0) return false;
        commit = new([.. frames.Values], content.Length, sizePages * (long)content.Length, bytes);
        Forget();
        return true;
    }
}
