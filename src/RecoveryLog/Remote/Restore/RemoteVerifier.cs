using System.Security.Cryptography;

namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>What a verification found.</summary>
/// <param name="Objects">Objects fetched and checked.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="Problems">One sentence for each object that is damaged or missing; empty when all is well.</param>
public sealed record RemoteVerdict(long Objects, long Bytes, IReadOnlyList<string> Problems);

/// <summary>Fetches what a remote holds and checks it: hints, the extents that they name, and the chain of segments with every record's form.</summary>
public sealed class RemoteVerifier(RemoteContext context, Action<long>? progressed = null)
{
    readonly List<string> problems = [];
    long objects, bytes;

    /// <summary>
    /// Checks everything, or, with a <paramref name="sample"/> below 1, that share of the extents, drawn at random (hints and segments always).
    /// </summary>
    public async Task<RemoteVerdict> RunAsync(double sample = 1, int parallelism = 4, CancellationToken cancellation = default)
    {
        var store = await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
            ?? throw new RecoveryException(RecoveryError.NotFound, $"There is no remote at {context.Store.Location}: store.json is missing. Check the URL");
        var extents = new Dictionary<string, Extent>(StringComparer.Ordinal);
        var starts = new List<RemoteLogEnd>();
        foreach (var (_, name, _, size) in await RemoteHintsReads.ListAsync(context, cancellation))
            await CheckAsync(async () =>
            {
                var hints = await RemoteHintsReads.FetchAsync(context, name, store.LogId, cancellation);
                if (hints is null) return; // collected meanwhile
                foreach (var extent in hints.Extents.Values) extents[extent.Name] = extent;
                starts.Add(hints.Header.Start);
                Count(size);
            });
        if (starts.Count == 0) problems.Add($"The remote {context.Store.Location} has no hints that verify: nothing can be restored from it");
        await CheckSegmentsAsync(store, starts.Count == 0 ? RemoteLogEnd.Start(store) : starts.MinBy(s => s.NextLsn), cancellation);
        var chosen = extents.Values.Where(_ => sample >= 1 || Draw() < sample).ToList();
        await Extents.ForEachAsync(chosen.Count, parallelism, (i, token) => CheckAsync(() => CheckExtentAsync(chosen[i], token)), cancellation);
        return new RemoteVerdict(objects, bytes, problems);
    }

    async ValueTask CheckSegmentsAsync(StoreObject store, RemoteLogEnd from, CancellationToken cancellation)
    {
        using var reader = new RemoteLogReader(context, store, from);
        var listed = await context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(from.NextLsn - 1), cancellation);
        reader.Expect(listed);
        await CheckAsync(async () =>
        {
            while (await reader.TryReadNextAsync(cancellation) is { } segment)
                using (segment)
                {
                    using var records = segment.OpenRecords();
                    while (records.TryRead(out _)) { }
                    Count(segment.SizeBytes);
                }
            var beyond = await context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(reader.Position.NextLsn), cancellation, most: 1);
            if (beyond.Count > 0 && await reader.TryReadNextAsync(cancellation) is null)
                throw RemoteFormat.Damaged(RemoteNames.Segment(reader.Position.NextLsn), $"it is missing, though {beyond[0].Name} is there");
        });
    }

    async Task CheckExtentAsync(Extent extent, CancellationToken cancellation)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long size = await context.RetryAsync(token =>
        {
            sha.GetHashAndReset();
            return context.Store.CopyWholeAsync(extent.Name, part =>
            {
                sha.AppendData(part.Span);
                return ValueTask.CompletedTask;
            }, context.Tries, token);
        }, cancellation);
        if (size < 0) throw RemoteFormat.Damaged(extent.Name, "it is missing");
        if (size != extent.SizeBytes || ObjectHash.Take(sha) != extent.Hash) throw RemoteFormat.Damaged(extent.Name, "its bytes do not match its SHA-256");
        Count(size);
    }

    /// <summary>Damage is noted, and the rest is looked at all the same; what keeps anything from being read at all is thrown.</summary>
    async ValueTask CheckAsync(Func<Task> check)
    {
        try { await check(); }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew) { lock (problems) problems.Add(e.Message); }
    }

    void Count(long size)
    {
        Interlocked.Increment(ref objects);
        Interlocked.Add(ref bytes, size);
        progressed?.Invoke(size);
    }

    double Draw()
    {
        lock (context.Random) return context.Random.NextDouble();
    }
}
