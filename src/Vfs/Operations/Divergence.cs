namespace RecoveryVfs.Operations;

/// <summary>Where a writer that was fenced and its remote part.</summary>
internal static class Divergence
{
    /// <summary>
    /// The newest LSN that the remote and a writer have in common: the one before the first segment of a later epoch,
    /// or of another author in the same. Null when the remote has no such segment.
    /// </summary>
    public static async Task<ulong?> SharedLsnAsync(RemoteAccess remote, ulong epoch, ulong? author,
        CancellationToken cancellation)
    {
        var segments = await remote.ListSegmentsAsync(cancellation);
        var (low, high) = (0, segments.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            // One that was collected since is an old one.
            if (await remote.FetchHeaderAsync(segments[middle].Object.Name, cancellation) is { } header
                && (header.Epoch > epoch
                || (author is { } own && header.Epoch == epoch && header.Author != own))) high = middle;
            else low = middle + 1;
        }
        return low == segments.Count ? null : segments[low].FirstLsn - 1;
    }
}
