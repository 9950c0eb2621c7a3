using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Blocks;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Lazy;

/// <summary>
/// One file that is not all here, opened when it is read first, and closed when it is needed no more and nobody reads
/// it. Thread-safe.
/// </summary>
internal sealed class LazyFile(BlockCache cache, Extent extent, string path, string record)
{
    readonly Lock gate = new();
    readonly bool isBlobs = path.EndsWith(".blob", StringComparison.Ordinal);
    BlockFile? file;
    int users;
    bool isClosed;

    public Extent Extent => extent;

    /// <summary>Bytes of it that are here.</summary>
    public long PresentBytes => Use(opened => opened.PresentBytes, 0);

    /// <summary>
    /// Reads bytes; those that are missing are fetched. -1 when the file is closed. Says, too, whether all of the file
    /// is here then.
    /// </summary>
    public int Read(long offset, Span<byte> to, out bool isWhole)
    {
        isWhole = false;
        if (Open() is not { } opened) return -1;
        try
        {
            var end = isBlobs ? FetchEndBeside(opened, offset, to.Length) : null;
            int got;
            try
            {
                got = opened.Read(offset, to);
            }
            finally
            {
                end?.Wait();
            }
            // While it is used: another thread may settle a whole file, and close it.
            isWhole = opened.PresentBytes >= extent.SizeBytes;
            return got;
        }
        finally
        {
            Release();
        }
    }

    /// <summary>
    /// Whoever opens a file of blobs reads its end, too. So that comes with the first of it that does: else what was
    /// read once could not be read without the remote. Null when there is nothing to bring.
    /// </summary>
    Task? FetchEndBeside(BlockFile opened, long offset, int length)
    {
        if (opened.IsHere(offset, length) || opened.IsHere(extent.SizeBytes - 1, 1)) return null;
        return Task.Run(async () =>
        {
            try
            {
                await opened.FetchAsync(extent.SizeBytes - 1, 1);
            }
            catch (Exception e) when (e is RecoveryException or OperationCanceledException or ObjectDisposedException)
            {
                // Whoever reads it will hear of it.
            }
        });
    }

    /// <summary>Brings in all of it.</summary>
    public async Task FillAsync(CancellationToken cancellation)
    {
        if (Open() is not { } opened) return;
        try
        {
            await opened.FillAsync(cancellation);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Makes it an ordinary file; false when something of it is missing.</summary>
    public bool Settle() => Use(opened => opened.Settle(), false);

    T Use<T>(Func<BlockFile, T> use, T closed)
    {
        if (Open() is not { } opened) return closed;
        try
        {
            return use(opened);
        }
        finally
        {
            Release();
        }
    }

    BlockFile? Open()
    {
        lock (gate)
        {
            if (isClosed) return null;
            file ??= cache.Open(extent, path, record);
            users++;
            return file;
        }
    }

    void Release()
    {
        lock (gate)
            if (--users == 0 && isClosed) file?.Dispose();
    }

    /// <summary>Nobody begins to read it any more; it is closed with its last reader.</summary>
    public void Close()
    {
        lock (gate)
        {
            if (isClosed) return;
            isClosed = true;
            if (users == 0) file?.Dispose();
        }
    }
}
