using System.Buffers;
using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>
/// Encodes one part of a commit at a time: <see cref="Begin"/>, <see cref="AddPage"/> in the order of page numbers,
/// <see cref="Finish"/>. Reusable; its buffer is pooled, and kept between parts unless it is detached, so that encoding
/// allocates nothing. One thread at a time.
/// </summary>
internal sealed class PageCommitWriter : IDisposable
{
    const int BufferBytes = 64 << 10;

    byte[] buffer = [];
    int used;
    uint database, count, previousPage;

    /// <summary>
    /// Bytes of the part so far. At <see cref="PageCommitFormat.PartBytes"/> it is time to finish it and begin the
    /// next.
    /// </summary>
    public int SizeBytes => used;

    /// <summary>Pages in the part so far.</summary>
    public uint Count => count;

    /// <summary>Starts a part, dropping an unfinished one. <paramref name="expectedBytes"/> saves growing.</summary>
    public void Begin(uint database, long expectedBytes = 0)
    {
        if (buffer.Length == 0)
            buffer = ArrayPool<byte>.Shared.Rent(
                (int)Math.Clamp(expectedBytes, BufferBytes, PageCommitFormat.PartBytes + BufferBytes));
        this.database = database;
        count = previousPage = 0;
        used = PageCommitFormat.HeaderBytes;
    }

    /// <summary>
    /// Adds a page; its number is higher than that of the page before in this part. With <paramref name="previous"/>
    /// (empty: there is none) it is written as ranges where that is shorter.
    /// </summary>
    public void AddPage(uint page, ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> previous = default)
    {
        Debug.Assert(page > previousPage, "pages come in the order of their numbers");
        Debug.Assert(bytes.Length is > 0 and <= PageCommitFormat.MaxPageBytes, "a page has 1 to 65,536 bytes");
        Reserve(2 * Varint.MaxBytes32 + 1 + bytes.Length);
        used += Varint.Write(buffer.AsSpan(used), page - previousPage);
        var form = used++;
        used += Varint.Write(buffer.AsSpan(used), (uint)bytes.Length);
        buffer[form] = (byte)AddPayload(bytes, previous);
        previousPage = page;
        count++;
    }

    PageForm AddPayload(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> previous)
    {
        if (previous.Length == bytes.Length
            && PageDelta.TryEncode(previous, bytes, buffer.AsSpan(used), out var written))
        {
            used += written;
            return PageForm.Ranges;
        }
        if (!bytes.ContainsAnyExcept((byte)0))
            return PageForm.Zeros;
        bytes.CopyTo(buffer.AsSpan(used));
        used += bytes.Length;
        return PageForm.Whole;
    }

    /// <summary>Ends the part; the body is valid until the next <see cref="Begin"/>.</summary>
    public ReadOnlySpan<byte> Finish(int pageSize, long sizeBytes, ulong checksum, byte flags)
    {
        PageCommitFormat.WriteHeader(buffer, database, (uint)pageSize, (ulong)sizeBytes, checksum, flags, count);
        return buffer.AsSpan(0, used);
    }

    /// <summary>
    /// Hands the buffer over that the finished body lies in, from its first byte on; whoever takes it gives it back to
    /// the pool.
    /// </summary>
    public byte[] Detach()
    {
        var detached = buffer;
        buffer = [];
        return detached;
    }

    void Reserve(int more)
    {
        if (used + more <= buffer.Length)
            return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(used + more, 2 * buffer.Length));
        buffer.AsSpan(0, used).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }

    /// <summary>Gives the buffer back.</summary>
    public void Dispose()
    {
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
    }
}
