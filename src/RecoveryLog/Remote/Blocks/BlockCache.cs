using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>
/// Sealed files of a directory of which some blocks are on its disk and all of them in a remote. What is read comes in;
/// when the budget is used up, the blocks that were used least recently give their room back.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>Bytes are given out only after they matched the extent's list of hashes (<see cref="BlockList"/>); an extent
/// without a list is fetched whole and verified by its own hash first.</item>
/// <item>Several caches, also of several processes on one machine, may work on the same files. They share what each
/// other has fetched; nobody owns it. Each keeps to the budget by what all of them have, of the files that it has
/// opened.</item>
/// <item>A process may be killed at any moment: a block counts as there only when its bytes are. After another start of
/// the machine each is verified anew before it is read.</item>
/// <item>Without the network what is there is read.</item>
/// </list>
/// </remarks>
internal sealed class BlockCache : IDisposable
{
    readonly List<BlockFile> files = [];
    readonly SemaphoreSlim gets, lists;
    readonly CancellationTokenSource closing = new();
    readonly Lock trimming = new();
    int clock;
    long fetches, fetchedBytes;
    volatile bool keepsAll;

    /// <summary>Makes one over a remote.</summary>
    public BlockCache(RemoteContext context, BlockCacheOptions options)
    {
        (Context, Options) = (context, options);
        gets = new SemaphoreSlim(options.Gets);
        lists = new SemaphoreSlim(options.Gets);
        keepsAll = options.BudgetBytes == long.MaxValue;
    }

    /// <summary>Bytes of blocks that are on disk, of all files opened here.</summary>
    public long PresentBytes => Sum(f => f.PresentBytes);

    /// <summary>Bytes of all files opened here.</summary>
    public long TotalBytes => Sum(f => f.Extent.SizeBytes);

    /// <summary>Requests so far, of lists too; one that was tried again counts once.</summary>
    public long Fetches => Interlocked.Read(ref fetches);

    /// <summary>Bytes of blocks that were fetched.</summary>
    public long FetchedBytes => Interlocked.Read(ref fetchedBytes);

    /// <summary>What talks to the remote.</summary>
    internal RemoteContext Context { get; }

    /// <summary>How it works.</summary>
    internal BlockCacheOptions Options { get; }

    /// <summary>Cancelled when the cache is closed.</summary>
    internal CancellationToken Closing => closing.Token;

    /// <summary>
    /// Opens an extent's file. Where there is neither the file nor its record, both are made: the record first, so that
    /// a file without one is a whole file, which is refused here. What was made is not durable before the caller has
    /// synced both directories.
    /// </summary>
    public BlockFile Open(Extent extent, string path, string record)
    {
        var file = BlockFile.Open(this, extent, path, record);
        lock (files) files.Add(file);
        return file;
    }

    /// <summary>
    /// How many bytes of an extent's file are here, for who only looks; null when it is whole, or was none of a cache.
    /// </summary>
    public static long? BytesHere(string record, in Extent extent) => BlockRecord.BytesHere(record, extent);

    /// <summary>One more use; the numbers of uses say which block was used last.</summary>
    internal int Use() => Interlocked.Increment(ref clock);

    /// <summary>Runs one request for blocks, when it is its turn.</summary>
    internal ValueTask<T> RequestAsync<T>(Func<CancellationToken, ValueTask<T>> step) => RequestAsync(gets, step);

    /// <summary>
    /// The same for a list: these have turns of their own, as requests for blocks wait for them with bytes on their
    /// way.
    /// </summary>
    internal ValueTask<T> RequestListAsync<T>(Func<CancellationToken, ValueTask<T>> step) => RequestAsync(lists, step);

    async ValueTask<T> RequestAsync<T>(SemaphoreSlim turns, Func<CancellationToken, ValueTask<T>> step)
    {
        await turns.WaitAsync(Closing);
        try
        {
            Interlocked.Increment(ref fetches);
            return await step(Closing);
        }
        finally
        {
            turns.Release();
        }
    }

    /// <summary>Counts bytes that came, and gives room back when there are too many.</summary>
    internal void Came(long bytes)
    {
        Interlocked.Add(ref fetchedBytes, bytes);
        if (keepsAll || PresentBytes <= Options.BudgetBytes || !trimming.TryEnter()) return;
        try { Trim(); }
        finally { trimming.Exit(); }
    }

    internal void Closed(BlockFile file)
    {
        lock (files) files.Remove(file);
    }

    /// <summary>
    /// A sixteenth more than is needed is given back, so that not each block that comes asks for the oldest of all.
    /// </summary>
    void Trim()
    {
        List<BlockFile> all;
        lock (files) all = [.. files];
        var over = PresentBytes - Options.BudgetBytes + Options.BudgetBytes / 16;
        var candidates = new List<(BlockFile File, int Block, int Age)>();
        var now = Volatile.Read(ref clock);
        foreach (var file in all)
            file.ListUnused(now, (block, used) => candidates.Add((file, block, now - used)));
        candidates.Sort((a, b) => b.Age.CompareTo(a.Age));
        foreach (var (file, block, _) in candidates)
        {
            if (over <= 0) return;
            bool cannot = false;
            try
            {
                if (file.GiveBack(block, out cannot)) over -= file.BytesOf(block);
            }
            catch (ObjectDisposedException)
            {
                // It was closed meanwhile.
            }
            if (cannot)
            {
                // The file system has no holes: nothing that comes can go.
                keepsAll = true;
                return;
            }
        }
    }

    long Sum(Func<BlockFile, long> of)
    {
        lock (files) return files.Sum(of);
    }

    /// <summary>Ends requests that are under way. What is here can still be read.</summary>
    public void Stop() => closing.Cancel();

    /// <summary>Ends requests that are under way, and closes the files.</summary>
    public void Dispose()
    {
        closing.Cancel();
        List<BlockFile> all;
        lock (files) all = [.. files];
        foreach (var file in all) file.Dispose();
    }
}
