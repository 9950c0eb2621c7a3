using System.Runtime.CompilerServices;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Tails;

/// <summary>How a remote's log is read.</summary>
public sealed record RemoteTailOptions
{
    /// <summary>Where to begin.</summary>
    public TailStart From { get; init; } = TailStart.Now;

    /// <summary>Stop at the end of the log instead of waiting for more.</summary>
    public bool Once { get; init; }

    /// <summary>How often an idle tail looks for more: one small request each time.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Whether commits carry their pages' bytes, or only say which pages.</summary>
    public bool WithPages { get; init; } = true;

    /// <summary>
    /// Called when the remote cannot be reached, and with null when it can again; without it, and with
    /// <see cref="Once"/>, that is an error.
    /// </summary>
    public Action<RecoveryException?>? Interrupted { get; init; }
}

/// <summary>
/// The commits of a remote's log, as they arrive: <c>await foreach (var commit in new RemoteTail(url,
/// options).ReadAsync())</c>. It reads only, and needs no directory, no RocksDB and no SQLite.
/// </summary>
public sealed partial class RemoteTail
{
    // Log read through for the names of databases and WALs, before the place to start at; beyond it an id must do.
    const long ScanBytesMax = 64L << 20;

    readonly RemoteContext context;
    readonly RemoteTailOptions options;
    readonly LiveFiles live = new();

    /// <summary>
    /// A tail of the remote at <c>s3://bucket/prefix</c> or <c>file:///directory</c>. Makes no request yet.
    /// </summary>
    public RemoteTail(string url, RemoteTailOptions options)
        : this(new RemoteContext { Store = RemoteUrl.Parse(url).Open(readOnly: true) }, options) { }

    internal RemoteTail(RemoteContext context, RemoteTailOptions options)
        => (this.context, this.options) = (context, options);

    /// <summary>The last LSN read.</summary>
    public ulong Lsn { get; private set; }

    /// <summary>
    /// The commits, in order. Ends at the end of the log with <see cref="RemoteTailOptions.Once"/>, else when it is
    /// cancelled.
    /// </summary>
    public async IAsyncEnumerable<TailedCommit> ReadAsync(
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var store = await FetchStoreAsync(cancellation);
        store.ThrowUnlessDatabases(context.Store.Location);
        var place = await FindPlaceAsync(store, cancellation);
        var records = new TailRecords(live, options.WithPages);
        await LearnNamesAsync(store, place, records, cancellation);
        var (reader, segment) = await BeginAsync(store, place, cancellation);
        using var owned = reader;
        var (from, fromMs) = (options.From.Lsn ?? 0, options.From.Time?.ToUnixTimeMilliseconds() ?? long.MinValue);
        var found = new List<TailedCommit>();
        for (; segment is not null; segment = await NextAsync(reader, cancellation))
        {
            using (segment)
            using (var source = segment.OpenRecords())
            {
                if (segment.Header.IsGap) await LearnNamesAsync(store, reader.Position, records, cancellation);
                while (true)
                {
                    if (!TakeNext(source, records, segment.Header.Epoch, found)) break;
                    foreach (var commit in found)
                        if (commit.Lsn >= from && commit.Time.ToUnixTimeMilliseconds() >= fromMs) yield return commit;
                    found.Clear();
                }
                Lsn = segment.Header.LastLsn;
            }
        }
    }

    /// <summary>
    /// The first segment. The oldest may be collected before it is read: then another one is the oldest.
    /// </summary>
    async ValueTask<(RemoteSegments, RemoteSegment?)> BeginAsync(StoreObject store, RemoteLogEnd place,
        CancellationToken cancellation)
    {
        while (true)
        {
            var reader = new RemoteSegments(context, store, place, options.Interval);
            try
            {
                return (reader, await NextAsync(reader, cancellation));
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.NotFound && options.From.IsOldest)
            {
                reader.Dispose();
                place = await FindPlaceAsync(store, cancellation);
            }
            catch
            {
                reader.Dispose();
                throw;
            }
        }
    }

    static bool TakeNext(SegmentRecords source, TailRecords records, ulong epoch, List<TailedCommit> found)
    {
        if (!source.TryRead(out var record)) return false;
        records.Take(record, epoch, found);
        return true;
    }

    async ValueTask<RemoteSegment?> NextAsync(RemoteSegments reader, CancellationToken cancellation)
    {
        for (var failures = 0; ;)
        {
            try
            {
                var segment = options.Once
                    ? await reader.TryNextAsync(cancellation)
                    : await reader.NextAsync(cancellation);
                if (failures > 0) options.Interrupted?.Invoke(null);
                return segment;
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Remote && !options.Once
                && options.Interrupted is not null)
            {
                if (failures++ == 0) options.Interrupted(e);
                await Task.Delay(context.Backoff.After(failures, context.Random), context.Time, cancellation);
            }
        }
    }

    async ValueTask<RemoteLogEnd> FindPlaceAsync(StoreObject store, CancellationToken cancellation)
    {
        if (options.From.IsOldest) return await context.OldestPlaceAsync(store, cancellation);
        if (options.From.Time is { } time) return await context.PlaceOfTimeAsync(store, time, cancellation);
        if (options.From.Lsn is { } lsn)
        {
            var place = await context.PlaceOfAsync(store, Math.Max(lsn, 1), cancellation);
            if (place is not null) return place.Value;
            var oldest = await context.OldestPlaceAsync(store, cancellation);
            throw new RecoveryException(RecoveryError.NotFound,
                $"LSN {lsn} is not in {context.Store.Location} any more: its log begins with LSN {oldest.NextLsn}.",
                "Start there (--from start), or from a later one.")
            { Path = context.Store.Location, Lsn = lsn };
        }
        var (end, last) = await context.FindEndAsync(store, cancellation);
        last?.Dispose();
        return end;
    }

    /// <summary>Which databases there are at a place: from hints, and the records between them and the place.</summary>
    ValueTask LearnNamesAsync(StoreObject store, RemoteLogEnd place, TailRecords records,
        CancellationToken cancellation) =>
        LearnAsync(store, place, static f => f.Class == FileClass.Plain, records.Pass, cancellation);

    async ValueTask LearnAsync(StoreObject store, RemoteLogEnd place, Func<LiveFile, bool> isWanted, RecordTaken pass,
        CancellationToken cancellation)
    {
        var from = RemoteLogEnd.Start(store);
        var after = 0UL;
        if (await context.HintsUpToAsync(store, place.LastLsn, cancellation) is { } hints)
        {
            live.Load(hints.Hints with { Files = [.. hints.Hints.Files.Where(isWanted)] });
            (from, after) = (hints.Header.Start, hints.Header.Lsn);
        }
        else if (place.NextLsn > from.NextLsn
            && await context.HintsUpToAsync(store, ulong.MaxValue, cancellation) is { } later)
        {
            // What there was before was collected. Ids are never given twice, so later names are right or at least of
            // the same database.
            live.Load(later.Hints with { Files = [.. later.Hints.Files.Where(isWanted)] });
            return;
        }
        if (from.NextLsn >= place.NextLsn) return;
        var between = (await context.SegmentsFromAsync(from, cancellation))
            .Where(s => RemoteNames.TryParseSegment(s.Name, out var first) && first < place.NextLsn).ToList();
        if (between.Sum(s => s.SizeBytes) > ScanBytesMax) return;
        using var reader = new RemoteLogReader(context, store, from);
        reader.Expect(between);
        while (reader.Position.NextLsn < place.NextLsn && await reader.TryReadNextAsync(cancellation) is { } segment)
        {
            using (segment)
            using (var source = segment.OpenRecords())
                while (source.TryRead(out var record))
                    if (record.Lsn > after) pass(record);
        }
    }
}
