using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>The first bytes of segments: what they hold, without what is in them.</summary>
internal static class RemoteSegmentHeads
{
    /// <summary>A segment's header; null when the segment is gone. The rest of it is not verified.</summary>
    public static ValueTask<RemoteSegmentHeader?> FetchAsync(RemoteContext context, string name,
        CancellationToken cancellation) =>
        context.RetryAsync<RemoteSegmentHeader?>(async token =>
        {
            var start = new byte[RemoteSegmentFormat.HeaderBytes];
            await using var download = await context.Store.GetAsync(name, 0, start.Length, token);
            // Collected since it was listed.
            if (download is null) return null;
            var got = await download.Body.ReadAtLeastAsync(start, start.Length, false, token);
            if (got < download.LengthBytes)
                throw new ObjectStoreException(ObjectStoreError.Unavailable, $"Object {name} arrived cut short");
            return RemoteSegmentFormat.ReadHeader(start.AsSpan(0, got), name);
        }, cancellation);
}
