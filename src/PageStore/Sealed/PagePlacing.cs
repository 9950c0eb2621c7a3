using System.Buffers;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>
/// Places the pages of one blob file in an image, those that follow one another with one write. By one thread at a
/// time.
/// </summary>
internal sealed class PagePlacing : IBlobs, IDisposable
{
    const int RunBytesMax = 512 << 10;

    readonly string name;
    readonly uint database;
    readonly ulong file;
    readonly PagePlaces places;
    readonly PlainImage image;
    readonly BlobFile blobs;
    readonly Codecs codecs = new();
    readonly byte[] run;
    readonly int pageSize;
    uint first;
    int used;
    ulong hashes;

    public PagePlacing(string name, uint database, ulong file, long sizeBytes, PagePlaces places, PlainImage image)
    {
        (this.name, this.database, this.file, this.places, this.image) = (name, database, file, places, image);
        blobs = new BlobFile(name, sizeBytes, this);
        pageSize = image.PageSize;
        run = ArrayPool<byte>.Shared.Rent(RunBytesMax);
    }

    /// <summary>The file begins anew: what was counted of it counts no more.</summary>
    public void Begin()
    {
        blobs.Begin();
        (used, hashes) = (0, 0);
    }

    public void Take(ReadOnlyMemory<byte> part) => blobs.Take(part.Span);

    /// <summary>All of the file has been taken, and verified.</summary>
    public void End()
    {
        WriteRun();
        image.Count(hashes);
    }

    public void Take(ulong key, long offset, BlobCompression compression, ReadOnlySpan<byte> value)
    {
        var page = (uint)key;
        if (key >> 32 != database || !places.Counts(page, file, offset)) return;
        if (used > 0 && (page != first + (uint)(used / pageSize) || used + pageSize > RunBytesMax)) WriteRun();
        if (used == 0) first = page;
        var bytes = run.AsSpan(used, pageSize);
        if (codecs.Decompress(compression, value, bytes) != pageSize)
            throw new UnfamiliarFileException(name, $"does not have page {page} in a form that is known here");
        hashes ^= PageCommitFormat.HashOf(page, bytes);
        used += pageSize;
    }

    void WriteRun()
    {
        if (used > 0) image.Place(first, run.AsSpan(0, used));
        used = 0;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(run);
        codecs.Dispose();
    }
}
