using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>
/// The segment with which a writer takes over: so small that it is known by its size before it is read.
/// </summary>
internal static class TakeOverSegment
{
    /// <summary>The header of a segment that only says that an epoch began; null of any other.</summary>
    public static async ValueTask<RemoteSegmentHeader?> TryReadAsync(RemoteContext context, string name, long sizeBytes,
        CancellationToken cancellation)
    {
        if (sizeBytes > BytesMax || !RemoteNames.TryParseSegment(name, out _)) return null;
        using var segment =
            await context.RetryAsync(token => RemoteSegment.FetchAsync(context.Store, name, context.OpenSpool, token),
            cancellation);
        if (segment is null) return null;
        using var records = segment.OpenRecords();
        return records.TryRead(out var record) && record.Kind == RecordKind.EpochBegan ? segment.Header : null;
    }

    /// <summary>More than a segment with only EpochBegan in it takes: larger ones need no look.</summary>
    public const int BytesMax = 512;
}
