using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>
/// Where the list of one extent's blocks comes from: the remote, once, or else the extent itself, which is verified as
/// a whole then.
/// </summary>
sealed class BlockListing(BlockCache cache, Extent extent, BlockRecord record)
{
    readonly Lock starting = new();
    Task<BlockList?>? fetching;

    /// <summary>
    /// The list, from the record or the remote; null when there is none that can be used. However many ask for it at
    /// once, one request is made.
    /// </summary>
    public Task<BlockList?> FindAsync()
    {
        lock (starting)
        {
            return fetching ??= FetchAsync();
        }
    }

    async Task<BlockList?> FetchAsync()
    {
        // So that it is known as the one before it ends.
        await Task.Yield();
        try
        {
            if (record.FindList() is { } kept) return kept;
            if (!extent.HasList) return null;
            var found = await cache.RequestListAsync(token => BlockLists.FetchAsync(cache.Context, extent, token));
            if (found.Shift != record.Shift) return null;
            using (var change = record.Change()) change.Keep(found);
            return found;
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
        {
            // The extent is verified without it.
            return null;
        }
        finally
        {
            lock (starting) fetching = null;
        }
    }

    /// <summary>
    /// All of the extent, verified, in a file of no name; what it came to is kept as its list.
    /// </summary>
    public async Task<Stream> FetchWholeAsync()
    {
        var aside = extent.SizeBytes <= InMemoryBytes || cache.Context.OpenSpool is not { } open
            ? new MemoryStream()
            : open();
        try
        {
            using var builder = new BlockList.Builder(record.Shift);
            await cache.RequestAsync(async token =>
            {
                await ExtentReads.ReadAsync(cache.Context, extent, () =>
                {
                    aside.Position = 0;
                    builder.Reset();
                }, part =>
                {
                    aside.Write(part.Span);
                    builder.Append(part.Span);
                }, token);
                return true;
            });
            var made = builder.Finish().List!;
            using (var change = record.Change()) change.Keep(made);
            aside.Position = 0;
            return aside;
        }
        catch
        {
            await aside.DisposeAsync();
            throw;
        }
    }

    const int InMemoryBytes = 4 << 20;
}
