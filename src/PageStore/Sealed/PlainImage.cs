using Microsoft.Win32.SafeHandles;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>
/// A plain SQLite file that is being made: pages written where they belong, and the checksum of what is there
/// (<see cref="PageCommitFormat"/>), kept up with each of them.
/// </summary>
internal sealed class PlainImage : IDisposable
{
    const int ChunkBytes = 1 << 20;

    readonly FileStream stream;
    readonly byte[] before = new byte[PageCommitFormat.MaxPageBytes];
    ulong checksum;

    public PlainImage(string path) => (Path, stream) = (path, RegularFile.CreateNew(path));

    public string Path { get; }

    public int PageSize { get; private set; }

    public long SizeBytes { get; private set; }

    /// <summary>Of the pages that are there. Until all of them are, it means nothing.</summary>
    public ulong Checksum => Volatile.Read(ref checksum);

    SafeFileHandle Handle => stream.SafeFileHandle;

    /// <summary>Forgets what is there.</summary>
    public void Begin(int pageSize, long sizeBytes)
    {
        (PageSize, SizeBytes, checksum) = (pageSize, sizeBytes, 0);
        Guarded(() => RandomAccess.SetLength(Handle, 0));
        Guarded(() => RandomAccess.SetLength(Handle, sizeBytes));
    }

    /// <summary>
    /// Puts pages that are not there yet, in a row; any thread may. Their hashes are counted with <see cref="Count"/>.
    /// </summary>
    public void Place(uint firstPage, ReadOnlySpan<byte> pages)
        => Write((firstPage - 1L) * PageSize,
            pages[..(int)Math.Min(pages.Length, Math.Max(0, SizeBytes - (firstPage - 1L) * PageSize))]);

    /// <summary>Counts the hashes of pages that were placed, or takes them away again.</summary>
    public void Count(ulong hashes)
    {
        ulong seen, now = Volatile.Read(ref checksum);
        do seen = now;
        while ((now = Interlocked.CompareExchange(ref checksum, seen ^ hashes, seen)) != seen);
    }

    /// <summary>Sets the size, as a commit does.</summary>
    public void Resize(int pageSize, long sizeBytes)
    {
        if (pageSize != PageSize) Begin(pageSize, 0);
        if (sizeBytes == SizeBytes) return;
        if (sizeBytes < SizeBytes) Cut(sizeBytes);
        else Guarded(() => RandomAccess.SetLength(Handle, sizeBytes));
        SizeBytes = sizeBytes;
    }

    /// <summary>Of a page that is cut in two, what is left counts.</summary>
    void Cut(long sizeBytes)
    {
        for (var page = (uint)(sizeBytes / PageSize) + 1; page <= PagesIn(SizeBytes); page++)
            checksum ^= PageCommitFormat.HashOf(page, Read(page));
        Guarded(() => RandomAccess.SetLength(Handle, sizeBytes));
        if (sizeBytes % PageSize != 0)
            checksum ^= PageCommitFormat.HashOf(PagesIn(sizeBytes), Read(PagesIn(sizeBytes)));
    }

    /// <summary>The page as it is; zeros where there is nothing. Valid until the next call.</summary>
    public Span<byte> Read(uint page)
    {
        var span = before.AsSpan(0, PageSize);
        span[ReadAt((page - 1L) * PageSize, span)..].Clear();
        return span;
    }

    /// <summary>Replaces a page that was read as it is there, with its hash.</summary>
    public void Replace(uint page, ulong hashBefore, ReadOnlySpan<byte> bytes)
    {
        checksum ^= hashBefore ^ PageCommitFormat.HashOf(page, bytes);
        Write((page - 1L) * PageSize, bytes);
    }

    /// <summary>Reads all of the file once more, and sets the checksum by it.</summary>
    public ulong Recount()
    {
        var chunk = new byte[PageSize == 0 ? 0 : Math.Max(PageSize, ChunkBytes / PageSize * PageSize)];
        var sum = 0UL;
        for (long at = 0; at < SizeBytes; at += chunk.Length)
        {
            chunk.AsSpan(ReadAt(at, chunk)).Clear();
            for (var within = 0; within < chunk.Length && at + within < SizeBytes; within += PageSize)
                sum ^= PageCommitFormat.HashOf((uint)((at + within) / PageSize + 1), chunk.AsSpan(within, PageSize));
        }
        return checksum = sum;
    }

    /// <summary>Nothing more comes: cuts what the last page has beyond the size, and makes the file durable.</summary>
    public void Finish()
    {
        Guarded(() => RandomAccess.SetLength(Handle, SizeBytes));
        Guarded(() => RandomAccess.FlushToDisk(Handle));
    }

    uint PagesIn(long bytes) => PageSize == 0 ? 0 : (uint)((bytes + PageSize - 1) / PageSize);

    int ReadAt(long offset, Span<byte> destination)
    {
        try
        {
            var done = 0;
            for (int got; done < destination.Length
                && (got = RandomAccess.Read(Handle, destination[done..], offset + done)) > 0;)
                done += got;
            return done;
        }
        catch (IOException e)
        {
            throw new RecoveryException(RecoveryError.IoRead, $"{Path} could not be read: {e.Message}",
                "Check the disk.", e)
            { Path = Path };
        }
    }

    void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(Handle, bytes, offset);
        }
        catch (IOException e)
        {
            throw Failed(e);
        }
    }

    void Guarded(Action action)
    {
        try
        {
            action();
        }
        catch (IOException e)
        {
            throw Failed(e);
        }
    }

    RecoveryException Failed(IOException e) =>
        new(RecoveryError.Full, $"{Path} could not be written: {e.Message}",
            "Free some space there, or choose another place.", e)
        { Path = Path };

    public void Dispose() => stream.Dispose();
}
