using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore;

/// <summary>
/// A remote's segments from a place on, as they come. When nothing is there it asks again, for that one name: soon after something came, then
/// less and less often until the interval is reached. Many waiting segments are fetched several at a time.
/// </summary>
internal sealed class RemoteSegments(RemoteContext context, StoreObject store, RemoteLogEnd start, TimeSpan interval) : IDisposable
{
    // A writer that commits all the time ships a segment every few milliseconds: waiting longer than this would show as lag.
    static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(5);
    // Whether the log goes on beyond a segment that is not there. Costs a listing.
    static readonly TimeSpan HoleInterval = TimeSpan.FromMinutes(1);
    // After so many segments without waiting there are probably many more: a listing tells which.
    const int RunBeforeListing = 4;

    readonly RemoteLogReader reader = new(context, store, start);
    TimeSpan wait = FirstWait;
    long lookedForHole;
    int run;

    /// <summary>Where the next segment must follow.</summary>
    public RemoteLogEnd Position => reader.Position;

    /// <summary>What listings have shown and was not read yet: a lower bound of what there is.</summary>
    public long ListedBytes { get; private set; }

    /// <summary>The first LSN of the last segment that a listing has shown.</summary>
    public ulong ListedLsn { get; private set; }

    /// <summary>The next segment, or null at the end of the log. A hole is an error.</summary>
    public async ValueTask<RemoteSegment?> TryNextAsync(CancellationToken cancellation)
    {
        if (run == 0 || run == RunBeforeListing) await ListAsync(cancellation);
        if (await TakeAsync(cancellation) is { } segment) return segment;
        await context.ThrowIfHoleAsync(reader.Position, cancellation);
        // It came between the two looks.
        return await TakeAsync(cancellation);
    }

    /// <summary>The next segment; waits for it.</summary>
    public async ValueTask<RemoteSegment> NextAsync(CancellationToken cancellation)
    {
        while (true)
        {
            if (run == RunBeforeListing) await ListAsync(cancellation);
            if (await TakeAsync(cancellation) is { } segment) return segment;
            await WaitAsync(cancellation);
        }
    }

    /// <summary>Waits before the next look; looks for a hole now and then.</summary>
    public async ValueTask WaitAsync(CancellationToken cancellation)
    {
        var now = context.Time.GetTimestamp();
        if (lookedForHole == 0 || context.Time.GetElapsedTime(lookedForHole, now) > HoleInterval)
        {
            await context.ThrowIfHoleAsync(reader.Position, cancellation);
            lookedForHole = now;
        }
        await Task.Delay(wait < interval ? wait : interval, context.Time, cancellation);
        wait = wait < interval ? wait * 2 : interval;
    }

    /// <summary>The next segment if it is there now.</summary>
    public async ValueTask<RemoteSegment?> TakeAsync(CancellationToken cancellation)
    {
        var segment = await reader.TryReadNextAsync(cancellation);
        if (segment is null)
        {
            run = 1;
            ListedBytes = 0;
            return null;
        }
        run++;
        wait = FirstWait;
        ListedBytes = Math.Max(0, ListedBytes - segment.SizeBytes);
        return segment;
    }

    /// <summary>Lists what is there, so that it is fetched several at a time.</summary>
    public async ValueTask ListAsync(CancellationToken cancellation)
    {
        var listed = await context.SegmentsFromAsync(reader.Position, cancellation);
        reader.Expect(listed.Select(s => RemoteNames.TryParseSegment(s.Name, out var first) ? first : 0));
        ListedBytes = listed.Sum(s => s.SizeBytes);
        if (listed.Count > 0 && RemoteNames.TryParseSegment(listed[^1].Name, out var last)) ListedLsn = last;
        run = Math.Max(run, 1) + 1;
    }

    public void Dispose() => reader.Dispose();
}
