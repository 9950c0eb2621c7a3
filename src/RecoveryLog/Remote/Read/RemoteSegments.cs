using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>
/// A remote's segments from a place on, as they come. When nothing is there it asks again, for that one name: soon
/// after something came, then less and less often until the interval is reached. Many waiting segments are fetched
/// several at a time. Used by one caller at a time.
/// </summary>
internal sealed class RemoteSegments(RemoteContext context, StoreObject store, RemoteLogEnd start, TimeSpan interval)
    : IDisposable
{
    // A writer that commits all the time ships a segment every few milliseconds: waiting longer than this would show as
    // lag.
    static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(5);
    // A look comes after this share of the time that nothing came: so much is added to how late a segment is seen, at
    // most.
    const int WaitShare = 8;
    // How often a listing tells whether the log goes on beyond a segment that is not there.
    static readonly TimeSpan HoleInterval = TimeSpan.FromMinutes(1);
    // After so many segments without waiting there are probably many more: a listing tells which.
    const int RunBeforeListing = 4;
    // What a listing brings at a time.
    const int ListedMax = 1000;

    readonly RemoteLogReader reader = new(context, store, start);
    long cameAt = context.Time.GetTimestamp();
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
            if (await TakeAsync(cancellation) is { } segment) return segment;
            if (await IsEndAsync(cancellation)) await WaitAsync(cancellation);
        }
    }

    /// <summary>
    /// Whether what <see cref="TakeAsync"/> found missing is the end of the log; false when it has come by now. A
    /// segment that was collected is missing, too: a listing tells, unless one did lately. Throws NotFound when the log
    /// goes on beyond a hole.
    /// </summary>
    public async ValueTask<bool> IsEndAsync(CancellationToken cancellation) => IsHoleUnlikely(HoleInterval * 2)
        || !await IsListedAsync(cancellation);

    /// <summary>
    /// Waits before the next look. Now and then a listing stands in for a look: it shows a hole, too, and throws as
    /// <see cref="IsEndAsync"/> does.
    /// </summary>
    public async ValueTask WaitAsync(CancellationToken cancellation)
    {
        await DelayAsync(cancellation);
        if (!IsHoleUnlikely(HoleInterval) && !await IsListedAsync(cancellation)) await DelayAsync(cancellation);
    }

    bool IsHoleUnlikely(TimeSpan since) => lookedForHole != 0 && context.Time.GetElapsedTime(lookedForHole) < since;

    async ValueTask<bool> IsListedAsync(CancellationToken cancellation)
    {
        var now = context.Time.GetTimestamp();
        var isThere = await context.IsThereAsync(reader.Position, cancellation);
        lookedForHole = now;
        return isThere;
    }

    Task DelayAsync(CancellationToken cancellation)
    {
        var wait = context.Time.GetElapsedTime(cameAt) / WaitShare;
        wait = wait > FirstWait ? wait : FirstWait;
        return Task.Delay(wait < interval ? wait : interval, context.Time, cancellation);
    }

    /// <summary>The next segment if it is there now.</summary>
    public async ValueTask<RemoteSegment?> TakeAsync(CancellationToken cancellation)
    {
        if (run >= RunBeforeListing && reader.ExpectedCount == 0) await ListAsync(cancellation);
        var segment = await reader.TryReadNextAsync(cancellation);
        if (segment is null)
        {
            run = 0;
            ListedBytes = 0;
            return null;
        }
        run++;
        cameAt = context.Time.GetTimestamp();
        ListedBytes = Math.Max(0, ListedBytes - segment.SizeBytes);
        return segment;
    }

    /// <summary>Lists what is there, so that it is fetched several at a time.</summary>
    public async ValueTask ListAsync(CancellationToken cancellation) =>
        Expect(await context.SegmentsFromAsync(reader.Position, cancellation, ListedMax));

    /// <summary>The same, by a listing that somebody made just now.</summary>
    public void Expect(IReadOnlyList<ObjectInfo> listed)
    {
        run = 0;
        reader.Expect(listed);
        ListedBytes = listed.Sum(s => s.SizeBytes);
        if (listed.Count > 0 && RemoteNames.TryParseSegment(listed[^1].Name, out var last)) ListedLsn = last;
        // Nothing comes later, so there is no hole.
        if (listed.Count == 0) lookedForHole = context.Time.GetTimestamp();
    }

    /// <inheritdoc/>
    public void Dispose() => reader.Dispose();
}
