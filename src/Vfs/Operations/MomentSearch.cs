using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>A moment of a log, found by time.</summary>
/// <param name="Bookmark">The last commit, or other change, by then.</param>
/// <param name="Time">When that was made.</param>
internal sealed record FoundMoment(Bookmark Bookmark, DateTimeOffset Time);

/// <summary>
/// Finds where a remote's log was at a time: by the times in segments' headers, halving, and then within one segment.
/// </summary>
internal static class MomentSearch
{
    /// <summary>A moment as people write it; the newest for null.</summary>
    public static RestoreTarget Target(string? text) => text is null ? RestoreTarget.Newest : RestoreTarget.Parse(text);

    /// <summary>
    /// The place, among segments oldest first, of the last one that begins by a time; -1 when all are later.
    /// </summary>
    public static async Task<int> SegmentAtAsync(RemoteAccess remote, IReadOnlyList<string> segments,
        DateTimeOffset time, CancellationToken cancellation)
    {
        var (low, high) = (0, segments.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            // One that was collected since it was listed was the oldest then.
            if (await remote.FetchHeaderAsync(segments[middle], cancellation) is not { } header
                || header.FirstTimeMs <= time.ToUnixTimeMilliseconds())
                low = middle + 1;
            else high = middle;
        }
        return low - 1;
    }

    /// <summary>The last moment by a time. Throws NotFound when the remote's log begins later.</summary>
    public static async Task<FoundMoment> AtAsync(RemoteAccess remote, DateTimeOffset time,
        CancellationToken cancellation)
    {
        var names = (await remote.ListSegmentsAsync(cancellation)).Select(s => s.Object.Name).ToList();
        var at = await SegmentAtAsync(remote, names, time, cancellation);
        for (; at >= 0; at--)
            if (await WithinAsync(remote, names[at], time.ToUnixTimeMilliseconds(), cancellation) is { } found)
                return found;
        throw new RecoveryException(RecoveryError.NotFound,
            $"The log in {remote.Context.Store.Location} begins after {TimeText.Show(time)}.",
            "`recovery log` shows what is there; name a later time.")
        { Path = remote.Context.Store.Location };
    }

    static async Task<FoundMoment?> WithinAsync(RemoteAccess remote, string name, long timeMs,
        CancellationToken cancellation)
    {
        using var segment = await remote.FetchSegmentAsync(name, cancellation);
        return segment is null || segment.Header.IsGap ? null : LastBy(segment, timeMs);
    }

    /// <summary>The end of the last group by then.</summary>
    static FoundMoment? LastBy(RemoteSegment segment, long timeMs)
    {
        FoundMoment? found = null;
        using var records = segment.OpenRecords();
        while (records.TryRead(out var record))
        {
            if (record.UnixTimeMs > timeMs) break;
            if (!record.Continues) found = Moment(segment.Header, record);
        }
        return found;
    }

    static FoundMoment Moment(in RemoteSegmentHeader header, in Record record) =>
        new(Bookmark.Of(header.LogId, header.Epoch, record.Lsn), TimeText.FromMs(record.UnixTimeMs));
}
