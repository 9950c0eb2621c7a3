using System.Buffers;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>
/// Brings the blocks of one file in: neighbours with one request, each only once however many wait for it.
/// </summary>
sealed class BlockFetching(BlockCache cache, Extent extent, SparseFile file, BlockRecord record)
{
    /// <summary>So often blocks were here and were given back again before the caller saw them.</summary>
    const int RoundsMax = 64;

    readonly Lock starting = new();
    readonly Dictionary<int, Task> coming = [];
    readonly SemaphoreSlim wholes = new(1);
    readonly BlockListing listing = new(cache, extent, record);

    /// <summary>
    /// Returns when the blocks are all here (or were, a moment ago). When some are missing, their neighbours in
    /// <paramref name="reach"/> are asked for with them; what is wrong with these is nobody's concern.
    /// </summary>
    public async ValueTask EnsureAsync(int first, int last, (int From, int Until) reach,
        CancellationToken cancellation)
    {
        for (var rounds = 0; rounds < RoundsMax; rounds++)
        {
            var waits = Start(first, last, reach.From, Math.Min(reach.Until, record.Count - 1));
            if (waits.Count == 0) return;
            try { await Task.WhenAll(waits).WaitAsync(cancellation); }
            catch (Exception) when (record.AreHere(first, last))
            {
                // A neighbour that came with them is not what it should be.
            }
            catch (RecoveryException e) { throw e.Again(); }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new RecoveryException(RecoveryError.Busy,
                    $"{extent.Name} was closed while bytes {Offset(first)} to {Offset(last) + Length(last, 1) - 1} "
                        + "of it were being fetched.")
                { Path = extent.Name };
            }
        }
    }

    /// <summary>Bytes straight from the remote, verified, for whoever finds no room for them here.</summary>
    public async Task<Memory<byte>> FetchPastAsync(long offset, int length, CancellationToken cancellation)
    {
        var (first, last) = ((int)(offset >> record.Shift), (int)(offset + length - 1 >> record.Shift));
        var bytes = new byte[(int)Length(first, last - first + 1)];
        var list = listing.FindAsync();
        var hasAll = true;
        await ReceiveAsync(list, first, last - first + 1, (hashes, block, part) =>
        {
            hasAll &= hashes.Matches(block, part);
            part.CopyTo(bytes.AsSpan((int)(Offset(block) - Offset(first))));
            return true;
        });
        if (hasAll && await list.WaitAsync(cancellation) is not null)
            return bytes.AsMemory((int)(offset - Offset(first)), length);
        throw new RecoveryException(RecoveryError.Busy,
            $"Bytes {offset} to {offset + length - 1} of {extent.Name} were given back by another process again and "
                + "again before they could be read.",
            "Raise fetch-cache")
        { Path = extent.Name };
    }

    readonly record struct Run(int First, int Count, TaskCompletionSource Done);

    /// <summary>What the blocks have to wait for. Requests begin here.</summary>
    HashSet<Task> Start(int first, int last, int from, int until)
    {
        var waits = new HashSet<Task>();
        var begun = new List<Run>();
        lock (starting)
        {
            for (var i = first; i <= last; i++)
            {
                if (record.StateOf(i) == BlockState.Here) continue;
                if (!coming.TryGetValue(i, out var wait))
                {
                    begun.Add(Plan(i, from, until));
                    wait = begun[^1].Done.Task;
                }
                waits.Add(wait);
            }
        }
        foreach (var run in begun) _ = RunAsync(run);
        return waits;
    }

    /// <summary>One request for a block and the neighbours beside it that are missing, too.</summary>
    Run Plan(int block, int from, int until)
    {
        var first = block;
        while (first > from && block - first + 1 < cache.Options.BlocksPerGet
            && record.StateOf(first - 1) != BlockState.Here && !coming.ContainsKey(first - 1))
            first--;
        var count = block - first + 1;
        while (first + count <= until && count < cache.Options.BlocksPerGet
            && record.StateOf(first + count) != BlockState.Here && !coming.ContainsKey(first + count))
            count++;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        for (var i = first; i < first + count; i++) coming[i] = done.Task;
        return new Run(first, count, done);
    }

    async Task RunAsync(Run run)
    {
        Exception? failure = null;
        try { await BringAsync(run.First, run.Count); }
        catch (Exception e) { failure = e; }
        lock (starting)
            for (var i = run.First; i < run.First + run.Count; i++) coming.Remove(i);
        if (failure is null) run.Done.SetResult();
        else
        {
            run.Done.SetException(failure);
            // Those who waited may have gone.
            _ = run.Done.Task.Exception;
        }
    }

    async Task BringAsync(int first, int count)
    {
        var hashes = record.FindList();
        if (hashes is not null) (first, count) = VerifyClaimed(hashes, first, count);
        if (count == 0) return;
        if (hashes is null && (!extent.HasList || extent.SizeBytes <= cache.Options.WholeBytes))
        {
            await WholeAsync();
            return;
        }
        // The list comes beside the blocks: together they take the time of one request.
        var list = hashes is not null ? Task.FromResult<BlockList?>(hashes) : listing.FindAsync();
        for (var tries = 1; ; tries++)
        {
            var (hasList, wrong) = await ReceiveAsync(list, first, count, TryPlace);
            if (!hasList) await WholeAsync();
            if (wrong is null) return;
            // Once more: a bit that fell over on the way is not damage.
            if (tries == 2)
                throw RemoteFormat.Damaged(extent.Name, $"its bytes {Offset(wrong.Value)} to "
                    + $"{Offset(wrong.Value) + Length(wrong.Value, 1) - 1} do not match their SHA-256");
        }
    }

    long Offset(int block) => (long)block << record.Shift;

    long Length(int first, int count) => Math.Min(Offset(first + count), extent.SizeBytes) - Offset(first);

    /// <summary>What was here before another start of the machine, and still is, need not be fetched.</summary>
    (int First, int Count) VerifyClaimed(BlockList hashes, int first, int count)
    {
        byte[]? buffer = null;
        for (var i = first; i < first + count; i++)
        {
            var number = record.Number(i);
            if (BlockRecord.StateOf(number) != BlockState.Claimed) continue;
            buffer ??= new byte[1 << record.Shift];
            var bytes = buffer.AsSpan(0, (int)Length(i, 1));
            var isRight = file.Read(Offset(i), bytes) == bytes.Length && hashes.Matches(i, bytes);
            using var change = record.Change();
            // Whoever changed it meanwhile knows better.
            if (record.Number(i) == number) change.Set(i, isRight ? BlockState.Here : BlockState.Absent);
        }
        while (count > 0 && record.StateOf(first) == BlockState.Here) (first, count) = (first + 1, count - 1);
        while (count > 0 && record.StateOf(first + count - 1) == BlockState.Here) count--;
        return (first, count);
    }

    /// <summary>
    /// One request for blocks; taken up at the block it broke at. Returns whether there is a list to verify them with,
    /// and the first that does not match it. The others are in their places.
    /// </summary>
    async Task<(bool HasList, int? Wrong)> ReceiveAsync(Task<BlockList?> list, int first, int count,
        BlockTaken take)
    {
        var (next, end) = (first, first + count);
        int? wrong = null;
        var buffer = ArrayPool<byte>.Shared.Rent(1 << record.Shift);
        try
        {
            return await cache.RequestAsync(closing => cache.Context.RetryAsync(async token =>
            {
                await using var range = await cache.Context.Store.GetRangeAsync(extent.Name, extent.SizeBytes,
                    Offset(next), Length(next, end - next), token)
                    ?? throw new RecoveryException(RecoveryError.Corrupt, $"The object {extent.Name} is missing");
                for (; next < end; next++)
                {
                    var bytes = buffer.AsMemory(0, (int)Length(next, 1));
                    await cache.Context.Store.ReadExactlyAsync(extent.Name, range, bytes, token);
                    if (await list is not { } hashes) return (false, null);
                    if (!take(hashes, next, bytes.Span)) wrong ??= next;
                }
                return (true, wrong);
            }, closing));
        }
        catch (RecoveryException e)
        {
            throw new RecoveryException(e.Error, $"Bytes {Offset(first)} to {Offset(first) + Length(first, count) - 1} "
                + $"of {extent.Name} could not be fetched: {e.Message}", e)
            { Path = extent.Name, Hint = e.Hint, IsTransient = e.IsTransient };
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Takes a block; false when it is not what it should be.</summary>
    delegate bool BlockTaken(BlockList hashes, int block, ReadOnlySpan<byte> bytes);

    bool TryPlace(BlockList hashes, int block, ReadOnlySpan<byte> bytes)
    {
        if (!hashes.Matches(block, bytes)) return false;
        Place(block, bytes);
        return true;
    }

    /// <summary>First a block's bytes, then that they are there. Nobody changes either meanwhile.</summary>
    void Place(int block, ReadOnlySpan<byte> bytes)
    {
        using (var change = record.Change())
        {
            if (record.StateOf(block) == BlockState.Here) return;
            file.Write(Offset(block), bytes);
            change.Set(block, BlockState.Here);
        }
        cache.Came(bytes.Length);
    }

    /// <summary>
    /// Where there is no list: all of the extent comes into a file aside, and from there, verified, into its place.
    /// Never straight there: another process may have blocks there that verified, which bytes that did not yet must not
    /// touch.
    /// </summary>
    async Task WholeAsync()
    {
        await wholes.WaitAsync(cache.Closing);
        var buffer = ArrayPool<byte>.Shared.Rent(1 << record.Shift);
        try
        {
            // Somebody else was first: what is missing is asked for again, now with a list.
            if (record.FindList() is not null) return;
            await using var aside = await listing.FetchWholeAsync();
            for (var block = 0; block < record.Count; block++)
            {
                var bytes = buffer.AsSpan(0, (int)Length(block, 1));
                aside.ReadExactly(bytes);
                Place(block, bytes);
            }
        }
        finally
        {
            wholes.Release();
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
